import type { KeySpec, KeyUsageType, OriginType } from '@aws-sdk/client-kms';
import type { Usage } from '../aws/kagimori';

const rsa: KeySpec[] = ['RSA_2048', 'RSA_3072', 'RSA_4096'];
const nist: KeySpec[] = ['ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521'];

// A Kind is what keys are for, with the specs that can be. Source: KMS Developer Guide, "Key spec reference".
export type Kind = { id: 'symmetric' | 'encrypt' | 'sign' | 'agree' | 'mac'; usage: KeyUsageType; specs: KeySpec[] };

export const kinds: Kind[] = [
  { id: 'symmetric', usage: 'ENCRYPT_DECRYPT', specs: ['SYMMETRIC_DEFAULT'] },
  { id: 'encrypt', usage: 'ENCRYPT_DECRYPT', specs: rsa },
  { id: 'sign', usage: 'SIGN_VERIFY', specs: [...rsa, ...nist, 'ECC_SECG_P256K1', 'ECC_NIST_EDWARDS25519', 'ML_DSA_44', 'ML_DSA_65', 'ML_DSA_87'] },
  { id: 'agree', usage: 'KEY_AGREEMENT', specs: nist },
  { id: 'mac', usage: 'GENERATE_VERIFY_MAC', specs: ['HMAC_224', 'HMAC_256', 'HMAC_384', 'HMAC_512'] },
];

// edits is how edits of key policies name a kind.
export const edits: Record<Kind['id'], Usage> = { symmetric: 'symmetric', encrypt: 'rsa', sign: 'sign-verify', agree: 'key-agreement', mac: 'mac' };

// Material of the newer specs is not to be imported. Source: KMS Developer Guide, "Importing key material
// for AWS KMS keys".
const never: KeySpec[] = ['ECC_NIST_EDWARDS25519', 'ML_DSA_44', 'ML_DSA_65', 'ML_DSA_87'];

// origins are where the material of keys of a spec can come from.
export function origins(spec: KeySpec): OriginType[] {
  if (spec === 'SYMMETRIC_DEFAULT') return ['AWS_KMS', 'EXTERNAL', 'EXTERNAL_KEY_STORE'];
  return never.includes(spec) ? ['AWS_KMS'] : ['AWS_KMS', 'EXTERNAL'];
}
