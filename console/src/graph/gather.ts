import type { GrantListEntry, KeyMetadata } from '@aws-sdk/client-kms';
import { autoscaling, ec2, kms, type Session } from '../aws/session';
import { predictImpact } from '../aws/kagimori';
import type { Group, Seen, Volume } from './model';

const mostGrants = 200;
const mostPages = 10; // of volumes and of groups
const patience = 3000; // ms that a picture waits for a prediction, which is long with very many grants

// Unread is what the person who is signed in may not read, or what is too much for a picture.
export type Unread = 'policy' | 'grants' | 'volumes' | 'groups' | 'moreGrants' | 'moreVolumes' | 'moreGroups';

// gather reads what the picture shows. What cannot be read is left out, and named.
export async function gather(s: Session, meta: KeyMetadata, language: string): Promise<{ seen: Seen; unread: Unread[] }> {
  const unread: Unread[] = [];
  const or = async <T>(what: Unread, none: T, read: Promise<T>): Promise<T> => {
    try {
      return await read;
    } catch {
      unread.push(what);
      return none;
    }
  };
  const [policy, grants, volumes, groups] = await Promise.all([
    or('policy', undefined, policyOf(s, meta)),
    or('grants', [], grantsOf(s, meta, () => unread.push('moreGrants'))),
    or('volumes', [], volumesOf(s, meta, () => unread.push('moreVolumes'))),
    or('groups', [], groupsOf(s, meta, language, () => unread.push('moreGroups'))),
  ]);
  return { seen: { meta, policy, grants, volumes, groups }, unread };
}

async function policyOf(s: Session, meta: KeyMetadata): Promise<string | undefined> {
  const { m, client } = await kms(s);
  return (await client.send(new m.GetKeyPolicyCommand({ KeyId: meta.Arn }))).Policy;
}

async function grantsOf(s: Session, meta: KeyMetadata, more: () => void): Promise<GrantListEntry[]> {
  const { m, client } = await kms(s);
  const out: GrantListEntry[] = [];
  for await (const page of m.paginateListGrants({ client, pageSize: 100 }, { KeyId: meta.Arn })) {
    out.push(...(page.Grants ?? []));
    if (out.length < mostGrants) continue;
    if (page.NextMarker || out.length > mostGrants) more();
    break;
  }
  return out.slice(0, mostGrants);
}

async function volumesOf(s: Session, meta: KeyMetadata, more: () => void): Promise<Volume[]> {
  const { m, client } = await ec2(s);
  const out: Volume[] = [];
  let pages = 0;
  for await (const page of m.paginateDescribeVolumes({ client, pageSize: 500 }, { Filters: [{ Name: 'encrypted', Values: ['true'] }] })) {
    for (const v of page.Volumes ?? []) {
      if (v.KmsKeyId !== meta.Arn) continue;
      out.push({ id: v.VolumeId!, state: v.State, zone: v.AvailabilityZone, attachments: (v.Attachments ?? []).map((a) => ({ instance: a.InstanceId!, device: a.Device, state: a.State })) });
    }
    if (++pages < mostPages) continue;
    if (page.NextToken) more();
    break;
  }
  return out;
}

// groupsOf are the groups, and which of them launch with the key: those that would stop without it.
async function groupsOf(s: Session, meta: KeyMetadata, language: string, more: () => void): Promise<Group[]> {
  const { m, client } = await autoscaling(s);
  const none = new Set<string>();
  const predicted = predictImpact(s, { Type: 'DISABLE_KEY', KeyId: meta.Arn! }, language).then(
    (p) => new Set(p.Effects.filter((e) => e.ResourceType === 'auto-scaling-group').map((e) => e.ResourceId)),
    () => none,
  );
  const launching = Promise.race([predicted, new Promise<Set<string>>((late) => setTimeout(() => late(none), patience))]);
  const out: Group[] = [];
  let pages = 0;
  for await (const page of m.paginateDescribeAutoScalingGroups({ client, pageSize: 100 }, {})) {
    for (const g of page.AutoScalingGroups ?? []) {
      const launches = [...(await launching)].some((id) => id === g.AutoScalingGroupName || id === g.AutoScalingGroupARN);
      out.push({ name: g.AutoScalingGroupName!, role: g.ServiceLinkedRoleARN, instances: (g.Instances ?? []).map((i) => i.InstanceId!), launches });
    }
    if (++pages < mostPages) continue;
    if (page.NextToken) more();
    break;
  }
  return out;
}
