import type { KeyMetadata } from '@aws-sdk/client-kms';
import { kms, type Session } from '../aws/session';

export type Row = { id: string; arn: string; aliases: string[]; meta?: KeyMetadata; denied?: boolean };
export type Page = { rows: Row[]; next?: string };

// A Filter is what keys must be; "" is anything.
export type Filter = { state: string; usage: string };

const fits = (r: Row, f: Filter) => (!f.state || r.meta?.KeyState === f.state) && (!f.usage || r.meta?.KeyUsage === f.usage);

const pageSize = 20;
const mostLooked = 200; // keys that one filtered page looks at

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

// pageOfKeys is one page of the server's list. AWS has no filter for keys: with one, pages of the list are
// looked at until there are enough rows, but for so many that the next page goes on there.
export async function pageOfKeys(s: Session, marker: string | undefined, filter: Filter): Promise<Page> {
  const k = await kms(s);
  const rows: Row[] = [];
  let next = marker;
  for (let looked = 0; looked < mostLooked && rows.length < pageSize; ) {
    const out = await k.client.send(new k.m.ListKeysCommand({ Limit: pageSize, Marker: next }));
    const found = await Promise.all((out.Keys ?? []).map((x) => describe(k, x.KeyId!, x.KeyArn!)));
    rows.push(...found.filter((r) => fits(r, filter)));
    looked += pageSize;
    next = out.NextMarker;
    if (!next || (!filter.state && !filter.usage)) break;
  }
  return { rows, next };
}

const mostFound = 50;

// findKeys looks a text up in ids, ARNs and aliases. AWS has no search for keys, so the lists are
// walked, in the largest pages that the API has.
export async function findKeys(s: Session, text: string, filter: Filter): Promise<Page> {
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
  const rows = await Promise.all([...found].slice(0, mostFound).map(([id, arn]) => describe(k, id, arn)));
  return { rows: rows.filter((r) => fits(r, filter)) };
}
