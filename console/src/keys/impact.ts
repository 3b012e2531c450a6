import type { GrantListEntry } from '@aws-sdk/client-kms';

// volumeOf is the volume whose data key a grant is for.
export function volumeOf(g: GrantListEntry): string | undefined {
  return { ...g.Constraints?.EncryptionContextSubset, ...g.Constraints?.EncryptionContextEquals }['aws:ebs:id'];
}
