import type { KeyMetadata } from '@aws-sdk/client-kms';
import type { Usage } from '../aws/kagimori';

// usageOf is what a key is for, as edits of its policy want to know.
export function usageOf(meta: KeyMetadata): Usage {
  switch (meta.KeyUsage) {
    case 'SIGN_VERIFY':
      return 'sign-verify';
    case 'GENERATE_VERIFY_MAC':
      return 'mac';
    case 'KEY_AGREEMENT':
      return 'key-agreement';
  }
  return meta.KeySpec === 'SYMMETRIC_DEFAULT' ? 'symmetric' : 'rsa';
}
