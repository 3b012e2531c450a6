import type { ImportKeyMaterialCommandInput, KeyMetadata } from '@aws-sdk/client-kms';
import { kms, type Session } from '../aws/session';

// Material is what a file of key material holds, or why it cannot be that of the key.
export type Material = { bytes: Uint8Array<ArrayBuffer> } | { wrong: 'encrypted' | 'unreadable' };

const isPrivate = (meta: KeyMetadata) => meta.KeySpec !== 'SYMMETRIC_DEFAULT' && !meta.KeySpec?.startsWith('HMAC_');

// materialOf reads a file: of a symmetric or HMAC key its bytes, of an asymmetric one a private key as
// PKCS #8, in DER or PEM.
export function materialOf(meta: KeyMetadata, file: Uint8Array<ArrayBuffer>): Material {
  if (!isPrivate(meta)) return { bytes: file };
  const text = new TextDecoder('latin1').decode(file);
  if (!text.startsWith('-----')) return { bytes: file };
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text)) return { wrong: 'encrypted' };
  const body = /-----BEGIN PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END PRIVATE KEY-----/.exec(text)?.[1];
  if (!body) return { wrong: 'unreadable' };
  try {
    return { bytes: Uint8Array.from(atob(body.replace(/\s/g, '')), (c) => c.charCodeAt(0)) };
  } catch {
    return { wrong: 'unreadable' };
  }
}

// wrapPadded is the AES key wrap with padding of RFC 5649, which browsers lack: in blocks of AES, of which
// one at a time is what AES-CBC makes of it without a previous one.
export async function wrapPadded(kek: Uint8Array<ArrayBuffer>, plain: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey('raw', kek, 'AES-CBC', false, ['encrypt']);
  const none = new Uint8Array(16);
  const encrypt = async (block: Uint8Array<ArrayBuffer>) => new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-CBC', iv: none }, key, block)).subarray(0, 16);
  const n = Math.ceil(plain.length / 8);
  const out = new Uint8Array(8 + 8 * n);
  out.set([0xa6, 0x59, 0x59, 0xa6]);
  new DataView(out.buffer).setUint32(4, plain.length);
  out.set(plain, 8);
  if (n === 1) return new Uint8Array(await encrypt(out));
  const block = new Uint8Array(16);
  block.set(out.subarray(0, 8));
  for (let j = 0; j < 6; j++) {
    for (let i = 1; i <= n; i++) {
      block.set(out.subarray(8 * i, 8 * i + 8), 8);
      const made = await encrypt(block);
      out.set(made.subarray(8), 8 * i);
      block.set(made.subarray(0, 8));
      const step = new DataView(block.buffer);
      step.setUint32(4, step.getUint32(4) ^ (n * j + i));
    }
  }
  out.set(block.subarray(0, 8));
  return out;
}

// send wraps key material with the key that KMS gives for this import, and imports it. The material is
// only in this page's memory. Private keys, which may be longer than RSA takes, are wrapped under an AES
// key of this import, and that under RSA. Source: KMS Developer Guide, "Importing key material step 3".
export async function send(s: Session, meta: KeyMetadata, material: Uint8Array<ArrayBuffer>, until?: Date, rotates = false): Promise<void> {
  const { m, client } = await kms(s);
  const long = isPrivate(meta);
  const p = await client.send(new m.GetParametersForImportCommand({ KeyId: meta.Arn, WrappingAlgorithm: long ? 'RSA_AES_KEY_WRAP_SHA_256' : 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_4096' }));
  const key = await crypto.subtle.importKey('spki', new Uint8Array(p.PublicKey!), { name: 'RSA-OAEP', hash: 'SHA-256' }, false, ['encrypt']);
  const under = async (bytes: Uint8Array<ArrayBuffer>) => new Uint8Array(await crypto.subtle.encrypt({ name: 'RSA-OAEP' }, key, bytes));
  let wrapped: Uint8Array;
  if (long) {
    const kek = crypto.getRandomValues(new Uint8Array(32));
    const [outer, inner] = [await under(kek), await wrapPadded(kek, material)];
    kek.fill(0);
    wrapped = new Uint8Array([...outer, ...inner]);
  } else wrapped = await under(material);
  const more: Partial<ImportKeyMaterialCommandInput> = rotates ? { ImportType: 'NEW_KEY_MATERIAL' } : {};
  await client.send(
    new m.ImportKeyMaterialCommand({
      KeyId: meta.Arn, ImportToken: p.ImportToken, EncryptedKeyMaterial: wrapped, ...more,
      ...(until ? { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: until } : { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }),
    }),
  );
}
