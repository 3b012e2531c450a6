import type { KeyMetadata } from '@aws-sdk/client-kms';
import { kms, type Session } from '../aws/session';

export type Row = { id: string; arn: string; aliases: string[]; meta?: KeyMetadata; denied?: boolean };
export type Page = { rows: Row[]; next?: string };

const pageSize = 20;

// describe fills a row. Who may list keys may not be able to read each of them.
async function describe(k: Awaited<ReturnType<typeof kms>>, id: string, arn: string): Promise<Row> {
  const [meta, aliases] = await Promise.allSettled([
    k.client.send(new k.m.DescribeKeyCommand({ KeyId: arn })),
    k.client.send(new k.m.ListAliasesCommand({ KeyId: arn })),
  ]);
  return {
    id, arn,
    meta: meta.status === 'fulfilled' ? meta.value.KeyMetadata : undefined,
    denied: meta.status === 'rejected',
    aliases: aliases.status === 'fulfilled' ? (aliases.value.Aliases ?? []).map((a) => a.AliasName!) : [],
  };
}

// pageOfKeys is one page of the server's list.
export async function pageOfKeys(s: Session, marker?: string): Promise<Page> {
  const k = await kms(s);
  const out = await k.client.send(new k.m.ListKeysCommand({ Limit: pageSize, Marker: marker }));
  return { rows: await Promise.all((out.Keys ?? []).map((x) => describe(k, x.KeyId!, x.KeyArn!))), next: out.NextMarker };
}

const mostFound = 50;

// findKeys looks a text up in ids, ARNs and aliases. AWS has no search for keys, so the lists are
// walked, in the largest pages that the API has.
export async function findKeys(s: Session, text: string): Promise<Page> {
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
  return { rows: await Promise.all([...found].slice(0, mostFound).map(([id, arn]) => describe(k, id, arn))) };
}
