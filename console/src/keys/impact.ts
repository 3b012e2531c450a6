import type { GrantListEntry } from '@aws-sdk/client-kms';
import { autoscaling, type Session } from '../aws/session';

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
