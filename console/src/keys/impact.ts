import type { GrantListEntry } from '@aws-sdk/client-kms';
import { autoscaling, ec2, type Session } from '../aws/session';

export type Impact = {
  volume?: string;
  // Instances that the volume is attached to, with the group that each is of.
  instances: { id: string; state: string; group?: string }[];
  // Groups that launch with the grantee.
  groups: string[];
};

// volumeOf is the volume whose data key a grant is for.
export function volumeOf(g: GrantListEntry): string | undefined {
  return { ...g.Constraints?.EncryptionContextSubset, ...g.Constraints?.EncryptionContextEquals }['aws:ebs:id'];
}

const linked = /^arn:aws:iam::(\d{12}):role\/aws-service-role\/autoscaling\.amazonaws\.com\//;

// groupsOf are the groups of the account and Region that launch with a service-linked role.
export async function groupsOf(s: Session, role: string): Promise<string[]> {
  if (linked.exec(role)?.[1] !== s.account) return [];
  const { m, client } = await autoscaling(s);
  const out: string[] = [];
  for await (const page of m.paginateDescribeAutoScalingGroups({ client }, {})) {
    for (const g of page.AutoScalingGroups ?? []) if (g.ServiceLinkedRoleARN === role) out.push(g.AutoScalingGroupName!);
  }
  return out;
}

// impactOf looks up what hangs by a grant, as far as the person may see it.
export async function impactOf(s: Session, g: GrantListEntry): Promise<Impact> {
  const volume = volumeOf(g);
  const out: Impact = { volume, instances: [], groups: await groupsOf(s, g.GranteePrincipal ?? '') };
  if (!volume) return out;
  const { m, client } = await ec2(s);
  const found = await client.send(new m.DescribeVolumesCommand({ Filters: [{ Name: 'volume-id', Values: [volume] }] }));
  const ids = (found.Volumes ?? []).flatMap((v) => (v.Attachments ?? []).map((a) => a.InstanceId!));
  if (!ids.length) return out;
  const those = await client.send(new m.DescribeInstancesCommand({ InstanceIds: ids }));
  for (const i of (those.Reservations ?? []).flatMap((r) => r.Instances ?? [])) {
    out.instances.push({ id: i.InstanceId!, state: i.State?.Name ?? '', group: i.Tags?.find((x) => x.Key === 'aws:autoscaling:groupName')?.Value });
  }
  return out;
}
