import { actions, conditionKeys } from 'virtual:policy-facts';
import { placeOf } from '../ui/tokens';
import type { Suggestions } from '../ui/Editor';

const most = 50;
const top = ['Version', 'Id', 'Statement'];
const elements = ['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'Condition'];
const plain = ['StringEquals', 'StringNotEquals', 'StringEqualsIgnoreCase', 'StringLike', 'StringNotLike', 'ArnEquals', 'ArnLike', 'ArnNotLike', 'Bool', 'Null', 'NumericEquals', 'NumericLessThanEquals', 'NumericGreaterThanEquals', 'DateLessThan', 'DateGreaterThan', 'IpAddress', 'NotIpAddress'];
const operators = [...plain, ...plain.filter((o) => o !== 'Null').map((o) => o + 'IfExists'), 'ForAllValues:StringEquals', 'ForAllValues:StringLike', 'ForAnyValue:StringEquals', 'ForAnyValue:StringLike'];
const grantOperations = ['Decrypt', 'Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptFrom', 'ReEncryptTo', 'Sign', 'Verify', 'GenerateMac', 'VerifyMac', 'GetPublicKey', 'DeriveSharedSecret', 'CreateGrant', 'RetireGrant', 'DescribeKey', 'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext'];
const services = ['ec2', 's3', 'rds', 'lambda', 'secretsmanager', 'ssm', 'sqs', 'sns', 'dynamodb', 'elasticfilesystem', 'logs', 'cloudtrail'];

export type Known = { principals: string[]; region: string };

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

// suggest completes what is typed in a string of a policy: what begins with it comes first, then what
// has it within.
export function suggest(text: string, caret: number, known: Known): Suggestions | undefined {
  const place = placeOf(text, caret);
  if (!place) return undefined;
  const typed = place.typed.toLowerCase();
  const all = [...new Set(candidates(place.path, place.name, known))];
  const starts = all.filter((c) => c.toLowerCase().startsWith(typed));
  const within = all.filter((c) => !c.toLowerCase().startsWith(typed) && c.toLowerCase().includes(typed));
  const items = [...starts, ...within].slice(0, most);
  if (!items.length || (items.length === 1 && items[0] === text.slice(place.from, place.to))) return undefined;
  return { items, from: place.from, to: place.to };
}
