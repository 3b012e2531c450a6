import type { KeyMetadata } from '@aws-sdk/client-kms';
import { kms, type Session } from '../aws/session';

export type Row = { id: string; arn: string };
export type Page = { rows: Row[]; next?: string };

// A Known is what is read of a key beside the list. Who may list keys may not be able to read each of them.
export type Known = { meta?: KeyMetadata; denied?: boolean; aliases?: string[] };

// A Filter is what keys must be; "" is anything.
export type Filter = { state: string; usage: string };

const fits = (k: Known | undefined, f: Filter) => (!f.state || k?.meta?.KeyState === f.state) && (!f.usage || k?.meta?.KeyUsage === f.usage);

const pageSize = 20;
const together = 40; // ms in which details that come are told of at once
const mostLooked = 200; // keys that one filtered page looks at

type Kms = Awaited<ReturnType<typeof kms>>;

async function describe(k: Kms, arn: string): Promise<Known> {
  return k.client.send(new k.m.DescribeKeyCommand({ KeyId: arn })).then((o) => ({ meta: o.KeyMetadata }), () => ({ denied: true }));
}

// A Reader reads keys' details, each once until it is told to forget them.
export class Reader {
  private readonly known = new Map<string, Known>();
  private telling?: ReturnType<typeof setTimeout>;
  private all?: Promise<Map<string, string[]> | undefined>;
  constructor(
    private readonly s: Session,
    private readonly tell: (known: ReadonlyMap<string, Known>) => void,
  ) {}

  // read reads the details of keys, and tells of them as they come: of a page of keys the aliases take one
  // request if the account has few, and each key one.
  async read(rows: Row[]): Promise<void> {
    const k = await kms(this.s);
    await Promise.all([Promise.all(rows.map((r) => this.describe(k, r))), this.aliases(k, rows)]);
  }

  // describe is what is known of one key.
  async describe(k: Kms, { arn }: Row): Promise<Known> {
    if (this.known.get(arn)?.meta) return this.known.get(arn)!;
    this.note(arn, await describe(k, arn));
    return this.known.get(arn)!;
  }

  private note(arn: string, more: Known): void {
    this.known.set(arn, { ...this.known.get(arn), ...more });
    this.telling ??= setTimeout(() => {
      this.telling = undefined;
      this.tell(this.known);
    }, together);
  }

  private async aliases(k: Kms, rows: Row[]): Promise<void> {
    this.all ??= everyAlias(k);
    const all = await this.all;
    await Promise.all(
      rows.map(async ({ id, arn }) => {
        if (this.known.get(arn)?.aliases) return;
        const names = all ? (all.get(id) ?? []) : await k.client.send(new k.m.ListAliasesCommand({ KeyId: arn })).then((o) => (o.Aliases ?? []).map((a) => a.AliasName!), () => []);
        this.note(arn, { aliases: names });
      }),
    );
  }
}

// everyAlias is the aliases of the account by key, if one page has all of them; else undefined. Who may not list
// them may not for one key either. Source: KMS API Reference, ListAliases, Required permissions.
async function everyAlias(k: Kms): Promise<Map<string, string[]> | undefined> {
  const page = await k.client.send(new k.m.ListAliasesCommand({ Limit: 100 })).catch(() => ({ Aliases: undefined, NextMarker: undefined }));
  if (page.NextMarker) return undefined;
  const out = new Map<string, string[]>();
  for (const a of page.Aliases ?? []) if (a.TargetKeyId) out.set(a.TargetKeyId, [...(out.get(a.TargetKeyId) ?? []), a.AliasName!]);
  return out;
}

// pageOfKeys is one page of the server's list. AWS has no filter for keys: with one, pages of the list are
// looked at until there are enough rows, but for so many that the next page goes on there.
export async function pageOfKeys(s: Session, reader: Reader, marker: string | undefined, filter: Filter): Promise<Page> {
  const k = await kms(s);
  const rows: Row[] = [];
  let next = marker;
  for (let looked = 0; looked < mostLooked && rows.length < pageSize; ) {
    const out = await k.client.send(new k.m.ListKeysCommand({ Limit: pageSize, Marker: next }));
    rows.push(...(await fitting(k, reader, (out.Keys ?? []).map((x) => ({ id: x.KeyId!, arn: x.KeyArn! })), filter)));
    looked += pageSize;
    next = out.NextMarker;
    if (!next || (!filter.state && !filter.usage)) break;
  }
  return { rows, next };
}

// fitting are the rows that a filter lets through: without one all, of which nothing needs to be read.
async function fitting(k: Kms, reader: Reader, rows: Row[], filter: Filter): Promise<Row[]> {
  if (!filter.state && !filter.usage) return rows;
  const known = await Promise.all(rows.map((r) => reader.describe(k, r)));
  return rows.filter((_, i) => fits(known[i], filter));
}

const mostFound = 50;

// findKeys looks a text up in ids, ARNs and aliases. AWS has no search for keys, so the lists are
// walked, in the largest pages that the API has.
export async function findKeys(s: Session, reader: Reader, text: string, filter: Filter): Promise<Page> {
  const k = await kms(s);
  const wanted = text.toLowerCase();
  const found = new Map<string, string>();
  const aliases = k.m.paginateListAliases({ client: k.client, pageSize: 100 }, {});
  const arnOf = (id: string) => `arn:aws:kms:${s.region}:${s.account}:key/${id}`;
  for await (const page of aliases) {
    for (const a of page.Aliases ?? []) if (a.TargetKeyId && a.AliasName!.toLowerCase().includes(wanted)) found.set(a.TargetKeyId, arnOf(a.TargetKeyId));
    if (found.size >= mostFound) break;
  }
  for await (const page of k.m.paginateListKeys({ client: k.client, pageSize: 1000 }, {})) {
    if (found.size >= mostFound) break;
    for (const x of page.Keys ?? []) if (x.KeyArn!.toLowerCase().includes(wanted)) found.set(x.KeyId!, x.KeyArn!);
  }
  return { rows: await fitting(k, reader, [...found].slice(0, mostFound).map(([id, arn]) => ({ id, arn })), filter) };
}
