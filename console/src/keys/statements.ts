import type { KeyMetadata } from '@aws-sdk/client-kms';
import type { Session } from '../aws/session';
import { editKeyPolicy, type Edit } from '../aws/kagimori';
import type { Words } from '../i18n/en';
import { usageOf } from './usage';

// A Snippet is statements to insert into a policy, with a name.
export type Snippet = { label: string; text: string };

const other = '111122223333';

// statements are those of AWS's console and of the page on encrypted volumes, as the service writes them, with
// an example of whom they name.
export async function statements(s: Session, meta: KeyMetadata, t: Words, language: string): Promise<Snippet[]> {
  const root = `arn:aws:iam::${s.account}:root`;
  const role = `arn:aws:iam::${s.account}:role/example`;
  const delegate = { Sid: 'Enable IAM User Permissions', Effect: 'Allow', Principal: { AWS: root }, Action: 'kms:*', Resource: '*' };
  const base = JSON.stringify({ Version: '2012-10-17', Statement: [delegate] });
  const linked: [string, Edit][] = [
    [t.snippetLinked, { Type: 'ADD_LINKED_ROLE', Principal: `arn:aws:iam::${s.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling` }],
    [t.snippetShared, { Type: 'SHARE_WITH_ACCOUNT', Principal: other }],
  ];
  const kinds: [string, Edit][] = [
    ...(meta.KeySpec === 'SYMMETRIC_DEFAULT' ? linked : []),
    [t.snippetUsers, { Type: 'ADD_USER', Principal: role }],
    [t.snippetAdministrators, { Type: 'ADD_ADMINISTRATOR', Principal: role }],
    [t.snippetAccount, { Type: 'ADD_ACCOUNT', Principal: other }],
  ];
  const made = await Promise.all(
    kinds.map(async ([label, edit]) => {
      const { Policy } = await editKeyPolicy(s, base, usageOf(meta), [edit], language);
      return { label, text: written((JSON.parse(Policy).Statement as { Sid?: string }[]).filter((x) => x.Sid !== delegate.Sid)) };
    }),
  );
  return [...made, { label: t.snippetRoot, text: written([delegate]) }];
}

// written are statements as they stand in a policy.
function written(list: unknown[]): string {
  return list.map((st) => JSON.stringify(st, null, 2)).join(',\n');
}
