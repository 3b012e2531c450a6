import { actions, conditionKeys } from 'virtual:policy-facts';
import { fill, gapOf, placeOf } from '../ui/tokens';
import type { Snippet } from './statements';
import type { Suggestions } from '../ui/Editor';

const most = 50;
const top = ['Version', 'Id', 'Statement'];
const elements = ['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'Condition'];
const plain = ['StringEquals', 'StringNotEquals', 'StringEqualsIgnoreCase', 'StringLike', 'StringNotLike', 'ArnEquals', 'ArnLike', 'ArnNotLike', 'Bool', 'Null', 'NumericEquals', 'NumericLessThanEquals', 'NumericGreaterThanEquals', 'DateLessThan', 'DateGreaterThan', 'IpAddress', 'NotIpAddress'];
const operators = [...plain, ...plain.filter((o) => o !== 'Null').map((o) => o + 'IfExists'), 'ForAllValues:StringEquals', 'ForAllValues:StringLike', 'ForAnyValue:StringEquals', 'ForAnyValue:StringLike'];
const grantOperations = ['Decrypt', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptFrom', 'ReEncryptTo', 'Sign', 'Verify', 'GenerateMac', 'VerifyMac', 'GetPublicKey', 'DeriveSharedSecret', 'CreateGrant', 'RetireGrant', 'DescribeKey', 'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext'];
const services = ['ec2', 's3', 'rds', 'lambda', 'secretsmanager', 'ssm', 'sqs', 'sns', 'dynamodb', 'elasticfilesystem', 'logs', 'cloudtrail'];

export type Known = { principals: string[]; region: string; statements: Snippet[] };

// candidates are what may stand at a place of a key policy. Source: IAM User Guide, "IAM JSON policy
// element reference".
function candidates(path: string[], name: boolean, known: Known): string[] {
  const [first, element, operator, key] = path;
  if (name) {
    if (path.length === 0) return top;
    if (first !== 'Statement') return [];
    if (path.length === 1) return elements;
    if (element === 'Principal' || element === 'NotPrincipal') return ['AWS', 'Service', 'Federated'];
    if (element !== 'Condition') return [];
    return path.length === 2 ? operators : conditionKeys;
  }
  if (first === 'Version') return ['2012-10-17'];
  if (first !== 'Statement') return [];
  switch (element) {
    case 'Effect':
      return ['Allow', 'Deny'];
    case 'Action':
    case 'NotAction':
      return ['kms:*', ...actions];
    case 'Resource':
      return ['*'];
    case 'Principal':
    case 'NotPrincipal':
      return operator === 'Service' ? services.map((s) => `${s}.amazonaws.com`) : operator === 'AWS' ? known.principals : operator ? [] : ['*'];
    case 'Condition':
      if (/^(Bool|Null)/.test(operator ?? '')) return ['true', 'false'];
      if (key === 'kms:ViaService') return services.map((s) => `${s}.${known.region}.amazonaws.com`);
      if (key === 'kms:GrantOperations') return grantOperations;
      if (/^aws:PrincipalArn$|Principal$/.test(key ?? '')) return known.principals;
  }
  return [];
}

// insertion is a statement where the list of statements can take it: what replaces the blanks there.
function insertion(text: string, caret: number, statement: string): { text: string; from: number; to: number } | undefined {
  const gap = gapOf(text, caret);
  if (gap?.path.join() !== 'Statement') return undefined;
  const [from, to] = [text.slice(0, caret).trimEnd().length, text.length - text.slice(caret).trimStart().length];
  return { text: fill(gap, statement), from, to };
}

// between suggests whole statements, between those that are there.
function between(text: string, caret: number, known: Known): Suggestions | undefined {
  const all = known.statements.flatMap(({ label, text: statement }) => {
    const at = insertion(text, caret, statement);
    return at ? [{ label, ...at }] : [];
  });
  return all.length ? { items: all, from: all[0].from, to: all[0].to } : undefined;
}

// append puts a statement behind those of a policy; undefined if the text has no list of them.
export function append(policy: string, statement: string): string | undefined {
  for (let i = policy.lastIndexOf(']'); i > 0; i = policy.lastIndexOf(']', i - 1)) {
    const at = insertion(policy, i, statement);
    if (at) return policy.slice(0, at.from) + at.text + policy.slice(at.to);
  }
  return undefined;
}

// suggest completes what is typed in a string of a policy: what begins with it comes first, then what
// has it within. Between statements it suggests whole ones.
export function suggest(text: string, caret: number, known: Known): Suggestions | undefined {
  const place = placeOf(text, caret);
  if (!place) return between(text, caret, known);
  const typed = place.typed.toLowerCase();
  const all = [...new Set(candidates(place.path, place.name, known))];
  const starts = all.filter((c) => c.toLowerCase().startsWith(typed));
  const within = all.filter((c) => !c.toLowerCase().startsWith(typed) && c.toLowerCase().includes(typed));
  const items = [...starts, ...within].slice(0, most);
  if (!items.length || (items.length === 1 && items[0] === text.slice(place.from, place.to))) return undefined;
  return { items: items.map((label) => ({ label, text: label })), from: place.from, to: place.to };
}
