import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import FileUpload from '@cloudscape-design/components/file-upload';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession, type Session } from '../aws/session';
import { useAct } from '../ui/load';
import { Problem } from '../ui/Problem';
import { When } from '../ui/Dates';
import { Impact } from './Impact';

// send wraps key material with the key that KMS gives for this import, and imports it. The material is
// only in this page's memory.
async function send(s: Session, meta: KeyMetadata, material: BufferSource, until?: Date): Promise<void> {
  const { m, client } = await kms(s);
  const p = await client.send(new m.GetParametersForImportCommand({ KeyId: meta.Arn, WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_4096' }));
  const key = await crypto.subtle.importKey('spki', new Uint8Array(p.PublicKey!), { name: 'RSA-OAEP', hash: 'SHA-256' }, false, ['encrypt']);
  const wrapped = new Uint8Array(await crypto.subtle.encrypt({ name: 'RSA-OAEP' }, key, material));
  await client.send(
    new m.ImportKeyMaterialCommand({
      KeyId: meta.Arn, ImportToken: p.ImportToken, EncryptedKeyMaterial: wrapped,
      ...(until ? { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: until } : { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }),
    }),
  );
}

// Material is the imported key material of a key: to import, and to delete. Asymmetric keys need a
// wrapping that browsers do not have.
export function Material({ meta, onChanged }: { meta: KeyMetadata; onChanged: () => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [files, setFiles] = useState<File[]>([]);
  const [until, setUntil] = useState('');
  const [deleting, setDeleting] = useState(false);
  const [done, setDone] = useState<string>();
  const wrappable = meta.KeySpec === 'SYMMETRIC_DEFAULT' || meta.KeySpec?.startsWith('HMAC_');
  const expires = until.trim() ? new Date(until.trim()) : undefined;
  const valid = !expires || !Number.isNaN(expires.getTime());
  const run = () =>
    act(async () => {
      await send(s, meta, await files[0].arrayBuffer(), expires);
      setFiles([]);
      setDone(t.materialImported);
      onChanged();
    });
  const there = meta.KeyState !== 'PendingImport';
  return (
    <SpaceBetween size="m">
      {done && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setDone(undefined)}>{done}</Alert>}
      <Container header={<Header variant="h2" actions={<Button disabled={!there} onClick={() => setDeleting(true)} data-testid="delete-material">{t.deleteMaterial}</Button>}>{t.materialTab}</Header>}>
        <KeyValuePairs columns={3} items={[{ label: t.material, value: there ? t.materialThere : t.materialMissing }, { label: t.expiration, value: meta.ExpirationModel === 'KEY_MATERIAL_EXPIRES' ? <When at={meta.ValidTo} /> : t.noExpiration }, { label: t.materialId, value: meta.CurrentKeyMaterialId ?? '-' }]} />
      </Container>
      <Container header={<Header variant="h2" description={t.importLead}>{t.importMaterial}</Header>}>
        {!wrappable && <Alert type="info">{t.importAsymmetric}</Alert>}
        {wrappable && !crypto.subtle && <Alert type="warning">{t.importInsecure}</Alert>}
        {wrappable && crypto.subtle && (
          <SpaceBetween size="m">
            <FormField label={t.materialFile} description={meta.KeySpec === 'SYMMETRIC_DEFAULT' ? t.materialFileHint : undefined}>
              <FileUpload
                value={files}
                onChange={(e) => setFiles(e.detail.value)}
                showFileSize
                i18nStrings={{ uploadButtonText: () => t.checkFile, dropzoneText: () => t.checkFile, removeFileAriaLabel: () => t.remove, limitShowFewer: t.close, limitShowMore: t.loadMore, errorIconAriaLabel: t.failed }}
              />
            </FormField>
            <FormField label={<>{t.expiration} <i>({t.optional})</i></>} description={t.expirationHint} errorText={valid ? undefined : t.expirationHint}>
              <Input value={until} placeholder="2030-01-31T00:00:00Z" onChange={(e) => setUntil(e.detail.value)} />
            </FormField>
            <Button variant="primary" loading={busy} disabled={!files.length || !valid} onClick={run} data-testid="import-now">{t.importMaterial}</Button>
          </SpaceBetween>
        )}
        <Problem error={error} />
      </Container>
      {deleting && (
        <Delete
          meta={meta}
          onDone={(gone) => {
            setDeleting(false);
            if (!gone) return;
            setDone(t.materialDeleted);
            onChanged();
          }}
        />
      )}
    </SpaceBetween>
  );
}

// Delete says what stops without the material, which is what stops while a key is disabled.
function Delete({ meta, onDone }: { meta: KeyMetadata; onDone: (gone: boolean) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.DeleteImportedKeyMaterialCommand({ KeyId: meta.Arn }));
      onDone(true);
    });
  return (
    <Modal
      visible
      header={t.deleteMaterial}
      closeAriaLabel={t.close}
      onDismiss={() => onDone(false)}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => onDone(false)}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} onClick={run} data-testid="delete-material-now">{t.deleteMaterial}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Alert type="warning">{t.deleteMaterialLead}</Alert>
        <Box variant="h3">{t.impactTitle}</Box>
        <Impact change={{ Type: 'DISABLE_KEY', KeyId: meta.Arn! }} />
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}
