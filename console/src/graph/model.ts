import type { GrantListEntry, KeyMetadata } from '@aws-sdk/client-kms';
import type { Answer } from '../aws/kagimori';
import { volumeOf } from '../keys/impact';

export type Kind = 'principal' | 'statement' | 'policy' | 'grant' | 'key' | 'volume' | 'instance' | 'group';

// A Node is one thing of the picture. Facts are its evidence, in the order in which they are shown;
// document is the text that proves it.
export type Node = { id: string; kind: Kind; name: string; deny?: boolean; conditional?: boolean; facts: [Fact, string][]; document?: string; href?: string[] };
export type Fact =
  | 'arn' | 'effect' | 'actions' | 'conditions' | 'grantee' | 'operations' | 'constraints' | 'retiring' | 'status' | 'device' | 'decidedBy' | 'depends' | 'zone' | 'launchesAs' | 'spec' | 'allOf' | 'more';

// An Edge leads from who asks towards what is reached. A silent one is not drawn: it says that two
// things belong together that are far apart in the picture.
export type Edge = { from: string; to: string; deny?: boolean; conditional?: boolean; silent?: boolean };
export type Graph = { nodes: Node[]; edges: Edge[] };

export type Volume = { id: string; state?: string; zone?: string; attachments: { instance: string; device?: string; state?: string }[] };
export type Group = { name: string; role?: string; instances: string[]; launches: boolean };
// Seen is what the person who is signed in can read of the key and of what uses it.
export type Seen = { meta: KeyMetadata; policy?: string; grants: GrantListEntry[]; volumes: Volume[]; groups: Group[] };

type Statement = {
  Sid?: string; Effect?: string; Principal?: string | Record<string, string | string[]>; NotPrincipal?: unknown; Action?: string | string[]; NotAction?: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
};

const list = <T>(x: T | T[] | undefined): T[] => (x === undefined ? [] : Array.isArray(x) ? x : [x]);

// namesOf are the principals that a statement names.
function namesOf(st: Statement): string[] {
  if (st.NotPrincipal !== undefined) return ['NotPrincipal'];
  if (typeof st.Principal === 'string') return [st.Principal];
  return Object.values(st.Principal ?? {}).flatMap(list);
}

// shortName is what tells a principal from others: the end of its ARN.
export function shortName(principal: string): string {
  const [, , service, , account, ...rest] = principal.split(':');
  if (rest.length === 0) return principal;
  const path = rest.join(':');
  if (service === 'iam' && path === 'root') return account;
  return path.replace(/^(role|user|assumed-role|federated-user)\/(.*\/)?/, '') || path;
}

function statementsOf(policy?: string): Statement[] {
  try {
    return list(JSON.parse(policy ?? '{}').Statement as Statement[]);
  } catch {
    return [];
  }
}

const conditionText = (st: Statement) => Object.entries(st.Condition ?? {}).flatMap(([op, keys]) => Object.entries(keys).map(([k, v]) => `${op} ${k} ${list(v).join(', ')}`)).join('; ');

class Builder {
  private readonly nodes = new Map<string, Node>();
  private readonly edges = new Map<string, Edge>();
  add(n: Node): string {
    if (!this.nodes.has(n.id)) this.nodes.set(n.id, n);
    return n.id;
  }
  has(id: string): boolean {
    return this.nodes.has(id);
  }
  join(e: Edge): void {
    const id = `${e.from}\n${e.to}`;
    if (!this.edges.has(id)) this.edges.set(id, e);
  }
  principal(arn: string, more: Partial<Node> = {}): string {
    return this.add({ id: `principal ${arn}`, kind: 'principal', name: shortName(arn), facts: [['arn', arn]], ...more });
  }
  graph(): Graph {
    return { nodes: [...this.nodes.values()], edges: [...this.edges.values()] };
  }
}

const keyId = 'key';

// build makes the picture of everything that a key's policy and grants say, or, with the answers to
// "who can", of those who can do that and of what lets them.
export function build(seen: Seen, answers?: Answer[]): Graph {
  const b = new Builder();
  const { meta } = seen;
  b.add({ id: keyId, kind: 'key', name: meta.KeyId!, facts: [['arn', meta.Arn!], ['status', meta.KeyState ?? ''], ['spec', meta.KeySpec ?? '']] });
  const statements = statementsOf(seen.policy).map((st, i) => ({ st, sid: st.Sid || `#${i + 1}`, id: `statement ${i}` }));
  const addStatement = ({ st, sid, id }: (typeof statements)[number]) => {
    const deny = st.Effect === 'Deny';
    const conditions = conditionText(st);
    const facts: Node['facts'] = [['effect', st.Effect ?? ''], st.NotAction === undefined ? ['actions', list(st.Action).join(', ')] : ['allOf', list(st.NotAction).join(', ')]];
    if (conditions) facts.push(['conditions', conditions]);
    b.add({ id, kind: 'statement', name: sid, deny, conditional: conditions !== '', facts, document: JSON.stringify(st, null, 2) });
    b.join({ from: id, to: keyId, deny, conditional: conditions !== '' });
  };
  const addGrant = (g: GrantListEntry) => {
    const id = `grant ${g.GrantId}`;
    const constraints = Object.entries({ ...g.Constraints?.EncryptionContextSubset, ...g.Constraints?.EncryptionContextEquals }).map(([k, v]) => `${k}=${v}`).join(', ');
    const facts: Node['facts'] = [['grantee', g.GranteePrincipal ?? ''], ['operations', (g.Operations ?? []).join(', ')]];
    if (constraints) facts.push(['constraints', constraints]);
    if (g.RetiringPrincipal) facts.push(['retiring', g.RetiringPrincipal]);
    b.add({ id, kind: 'grant', name: g.Name || g.GrantId!.slice(0, 12), conditional: constraints !== '', facts, document: JSON.stringify(g, null, 2) });
    b.join({ from: id, to: keyId, conditional: constraints !== '' });
    return id;
  };
  if (answers) {
    for (const a of answers) addAnswer(b, seen, a, statements, addStatement, addGrant);
  } else {
    for (const s of statements) {
      addStatement(s);
      for (const name of namesOf(s.st)) b.join({ from: b.principal(name), to: s.id, deny: s.st.Effect === 'Deny', conditional: s.st.Condition !== undefined });
    }
    for (const g of seen.grants) b.join({ from: b.principal(g.GranteePrincipal!), to: addGrant(g) });
  }
  addUses(b, seen);
  return b.graph();
}

const most = 20; // conditions of one answer

const first = (list: string[], between: string) => [...list.slice(0, most), ...(list.length > most ? ['…'] : [])].join(between);

type Numbered = { st: Statement; sid: string; id: string };

function addAnswer(b: Builder, seen: Seen, a: Answer, statements: Numbered[], addStatement: (s: Numbered) => void, addGrant: (g: GrantListEntry) => string): void {
  const conditions = first((a.Conditions ?? []).map((c) => `${c.Operator ?? ''} ${c.Key} ${(c.Values ?? []).join(', ')}`.trim()), '; ');
  const conditional = conditions !== '' || Boolean(a.DependsOn?.length) || a.EvaluatedEffect !== 'ALLOW';
  const facts: Node['facts'] = [['arn', a.Principal]];
  if (a.DecidedBy) facts.push(['decidedBy', a.DecidedBy]);
  if (conditions) facts.push(['conditions', conditions]);
  if (a.DependsOn?.length) facts.push(['depends', first(a.DependsOn, ', ')]);
  if (a.MoreGrants) facts.push(['more', String(a.MoreGrants)]);
  const from = b.principal(a.Principal, { facts, conditional });
  // What a condition leaves open leads there, too.
  const sources = [...(a.Statements ?? []), ...(a.Conditions ?? [])];
  for (const x of sources) {
    if (x.GrantId) {
      const g = seen.grants.find((o) => o.GrantId === x.GrantId);
      const to = g ? addGrant(g) : b.add({ id: `grant ${x.GrantId}`, kind: 'grant', name: x.GrantId.slice(0, 12), facts: [['grantee', a.Principal]] });
      b.join({ from, to, conditional });
      b.join({ from: to, to: keyId, conditional });
      continue;
    }
    const own = x.Policy === seen.meta.Arn ? statements.filter((s) => s.sid === x.Sid) : [];
    for (const s of own) {
      addStatement(s);
      b.join({ from, to: s.id, conditional, deny: s.st.Effect === 'Deny' });
    }
    if (own.length || !x.Policy) continue;
    const to = b.add({ id: `policy ${x.Policy}`, kind: 'policy', name: shortName(x.Policy), facts: [['arn', x.Policy], ['effect', x.EvaluatedEffect ?? 'ALLOW']], deny: x.EvaluatedEffect === 'DENY' });
    b.join({ from, to, conditional, deny: x.EvaluatedEffect === 'DENY' });
    b.join({ from: to, to: keyId, conditional, deny: x.EvaluatedEffect === 'DENY' });
  }
  if (!sources.length) b.join({ from, to: keyId, conditional }); // another account's documents stay hidden
}

// addUses adds what stands on the key's other side: volumes under it, the instances that have them,
// and the groups of those instances or of launches with this key.
function addUses(b: Builder, seen: Seen): void {
  for (const v of seen.volumes) {
    const id = b.add({ id: `volume ${v.id}`, kind: 'volume', name: v.id, facts: [['status', v.state ?? ''], ['zone', v.zone ?? '']] });
    b.join({ from: keyId, to: id });
    for (const a of v.attachments) {
      const instance = b.add({ id: `instance ${a.instance}`, kind: 'instance', name: a.instance, facts: [['device', `${v.id}: ${a.device ?? ''} (${a.state ?? ''})`]], href: ['explain', a.instance] });
      b.join({ from: id, to: instance });
    }
  }
  for (const g of seen.grants) {
    const [grant, volume] = [`grant ${g.GrantId}`, `volume ${volumeOf(g)}`];
    if (b.has(grant) && b.has(volume)) b.join({ from: grant, to: volume, silent: true });
  }
  for (const g of seen.groups) {
    const mine = g.instances.filter((i) => b.has(`instance ${i}`));
    if (!mine.length && !g.launches) continue;
    const id = b.add({ id: `group ${g.name}`, kind: 'group', name: g.name, facts: [['launchesAs', g.role ?? '']], href: ['groups', g.name] });
    for (const i of mine) b.join({ from: `instance ${i}`, to: id });
    if (!mine.length) b.join({ from: keyId, to: id, conditional: true });
    if (g.role && b.has(`principal ${g.role}`)) b.join({ from: `principal ${g.role}`, to: id, silent: true });
  }
}

// around is what belongs to a node: the ways that lead to it and on from it. They end at the key,
// behind which everything belongs together.
export function around(g: Graph, id: string): Set<string> {
  const out = new Set([id]);
  const walk = (at: string, forwards: boolean) => {
    for (const e of g.edges) {
      const next = forwards ? (e.from === at ? e.to : undefined) : e.to === at ? e.from : undefined;
      if (next === undefined || out.has(next)) continue;
      out.add(next);
      if (next !== keyId && !e.silent) walk(next, forwards);
    }
  };
  walk(id, true);
  walk(id, false);
  return out;
}
