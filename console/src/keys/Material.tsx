import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { Choose } from '../ui/Choose';
import { Dialog } from '../ui/Dialog';
import { useAct } from '../ui/load';
import { Problem } from '../ui/Problem';
import { When } from '../ui/Dates';
import { Impact } from './Impact';
import { materialOf, send, type Material as Read } from './wrap';

// Bytes of the material of keys that are not asymmetric. Source: KMS Developer Guide, "Requirements for
// imported key material".
const lengths: Record<string, number> = { SYMMETRIC_DEFAULT: 32, HMAC_224: 28, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 };

// Material is the imported key material of a key: to import, and to delete.
export function Material({ meta, onChanged }: { meta: KeyMetadata; onChanged: () => void }) {
  const { t } = useWords();
  const [deleting, setDeleting] = useState(false);
  const [done, setDone] = useState<string>();
  const there = meta.KeyState !== 'PendingImport';
  const facts = [
    { label: t.material, value: there ? t.materialThere : t.materialMissing },
    { label: t.expiration, value: meta.ExpirationModel === 'KEY_MATERIAL_EXPIRES' ? <When at={meta.ValidTo} /> : t.noExpiration },
    { label: t.materialId, value: <Box variant="code">{meta.CurrentKeyMaterialId ?? '-'}</Box> },
  ];
  const finish = (told?: string) => {
    setDeleting(false);
    if (!told) return;
    setDone(told);
    onChanged();
  };
  return (
    <SpaceBetween size="m">
      {done && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setDone(undefined)}>{done}</Alert>}
      <Container header={<Header variant="h2" actions={<Button disabled={!there} onClick={() => setDeleting(true)} data-testid="delete-material">{t.deleteMaterial}</Button>}>{t.materialTab}</Header>}>
        <KeyValuePairs columns={3} items={facts} />
      </Container>
      <Import key={meta.CurrentKeyMaterialId} meta={meta} there={there} onDone={finish} />
      {deleting && <Delete meta={meta} onDone={finish} />}
    </SpaceBetween>
  );
}

// Import takes a file, encrypts it in this page and imports it.
function Import({ meta, there, onDone }: { meta: KeyMetadata; there: boolean; onDone: (told: string) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [read, setRead] = useState<Read>();
  const [until, setUntil] = useState('');
  const [rotates, setRotates] = useState(false);
  const length = lengths[meta.KeySpec ?? ''];
  const expires = until.trim() ? new Date(until.trim()) : undefined;
  const valid = !expires || !Number.isNaN(expires.getTime());
  const bytes = read && 'bytes' in read ? read.bytes : undefined;
  const wrong = read && 'wrong' in read ? (read.wrong === 'encrypted' ? t.materialEncrypted : t.materialUnreadable) : undefined;
  const run = () =>
    act(async () => {
      await send(s, meta, bytes!, expires, rotates);
      onDone(t.materialImported);
    });
  return (
    <Container header={<Header variant="h2" description={length ? t.importLead : t.importPrivateLead}>{t.importMaterial}</Header>}>
      {crypto.subtle ? (
        <SpaceBetween size="m">
          <FormField label={t.materialFile} description={length ? t.materialFileHint(length) : t.privateFileHint} errorText={wrong}>
            <Choose onChoose={async (file) => setRead(file && materialOf(meta, new Uint8Array(await file.arrayBuffer())))} />
          </FormField>
          <FormField label={<>{t.expiration} <i>- {t.optional}</i></>} description={t.expirationHint} errorText={valid ? undefined : t.expirationHint}>
            <Input value={until} placeholder="2030-01-31T00:00:00Z" onChange={(e) => setUntil(e.detail.value)} />
          </FormField>
          {there && meta.KeySpec === 'SYMMETRIC_DEFAULT' && <Checkbox checked={rotates} onChange={(e) => setRotates(e.detail.checked)} description={t.newMaterialHint}>{t.newMaterial}</Checkbox>}
          <Button variant="primary" loading={busy} disabled={!bytes || !valid} onClick={run} data-testid="import-now">{t.importMaterial}</Button>
        </SpaceBetween>
      ) : (
        <Alert type="warning">{t.importInsecure}</Alert>
      )}
      <Problem error={error} />
    </Container>
  );
}

// Delete says what stops without the material, which is what stops while a key is disabled.
function Delete({ meta, onDone }: { meta: KeyMetadata; onDone: (told?: string) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.DeleteImportedKeyMaterialCommand({ KeyId: meta.Arn }));
      onDone(t.materialDeleted);
    });
  return (
    <Dialog title={t.deleteMaterial} onClose={() => onDone()} run={run} busy={busy} error={error} id="delete-material-now">
      <Alert type="warning">{t.deleteMaterialLead}</Alert>
      <Box variant="h3">{t.impactTitle}</Box>
      <Impact change={{ Type: 'DISABLE_KEY', KeyId: meta.Arn! }} />
    </Dialog>
  );
}
