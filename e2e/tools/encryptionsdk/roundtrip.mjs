// Encrypts under two keys and decrypts by each, with the AWS Encryption SDK. Arguments: the ARNs of the
// keys. Endpoint, region and credentials come from the environment.
import { KmsKeyringNode, buildClient, CommitmentPolicy, getClient, KMS } from '@aws-crypto/client-node'

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
const [generatorKeyId, other] = process.argv.slice(2)
const clientProvider = getClient(KMS, { endpoint: process.env.AWS_ENDPOINT_URL })
const context = { stage: 'test', origin: 'kagimori' }
const plaintext = Buffer.from('a message of more than one block, as it is said')

const both = new KmsKeyringNode({ clientProvider, generatorKeyId, keyIds: [other] })
const { result } = await encrypt(both, plaintext, { encryptionContext: context })
for (const keyId of [generatorKeyId, other]) {
  const keyring = new KmsKeyringNode({ clientProvider, keyIds: [keyId] })
  const out = await decrypt(keyring, result)
  if (!out.plaintext.equals(plaintext)) throw new Error('another plaintext')
  for (const [k, v] of Object.entries(context)) {
    if (out.messageHeader.encryptionContext[k] !== v) throw new Error('the encryption context is lost')
  }
}
result[result.length - 1] ^= 1
let refused = false
await decrypt(both, result).catch(() => { refused = true })
if (!refused) throw new Error('an altered message was decrypted')
console.log('ok')
