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
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import type { KeyMetadata, RotationsListEntry } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { Choose } from '../ui/Choose';
import { Dialog } from '../ui/Dialog';
import { useAct, useLoad } from '../ui/load';
import { usePages } from '../ui/Pager';
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
  const [deleting, setDeleting] = useState<RotationsListEntry>();
  const [done, setDone] = useState<string>();
  const [round, again] = useState(0);
  const there = meta.KeyState !== 'PendingImport';
  const facts = [
    { label: t.material, value: there ? t.materialThere : t.materialMissing },
    { label: t.expiration, value: meta.ExpirationModel === 'KEY_MATERIAL_EXPIRES' ? <When at={meta.ValidTo} /> : t.noExpiration },
    { label: t.materialId, value: <Box variant="code">{meta.CurrentKeyMaterialId ?? '-'}</Box> },
  ];
  const finish = (told?: string) => {
    setDeleting(undefined);
    if (!told) return;
    setDone(told);
    again((n) => n + 1);
    onChanged();
  };
  return (
    <SpaceBetween size="m">
      {done && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setDone(undefined)}>{done}</Alert>}
      <Container header={<Header variant="h2" actions={<Button disabled={!there} onClick={() => setDeleting({})} data-testid="delete-material">{t.deleteMaterial}</Button>}>{t.materialTab}</Header>}>
        <KeyValuePairs columns={3} items={facts} />
      </Container>
      <Import key={round} meta={meta} there={there} onDone={finish} />
      {meta.KeySpec === 'SYMMETRIC_DEFAULT' && <Materials meta={meta} onDelete={setDeleting} onDone={finish} round={round} />}
      {deleting && <Delete meta={meta} material={deleting} onDone={finish} />}
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

// Materials are all that a symmetric key ever had, with which it decrypts, and the one that waits for its
// rotation. The key works while all that it ever used is there. Source: KMS Developer Guide, "Rotate AWS KMS
// keys", imported key material.
function Materials({ meta, onDelete, onDone, round }: { meta: KeyMetadata; onDelete: (m: RotationsListEntry) => void; onDone: (told: string) => void; round: number }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error: failed, act } = useAct();
  const { data, error, loading } = useLoad(async () => {
    const { m, client } = await kms(s);
    const out: RotationsListEntry[] = [];
    for await (const page of m.paginateListKeyRotations({ client, pageSize: 1000 }, { KeyId: meta.KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' })) out.push(...(page.Rotations ?? []));
    return out;
  }, [s, meta.KeyId, round]);
  const { items, pager } = usePages(data ?? [], 25);
  const waits = data?.some((r) => r.KeyMaterialState === 'PENDING_ROTATION' && r.ImportState === 'IMPORTED');
  const rotate = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.RotateKeyOnDemandCommand({ KeyId: meta.KeyId }));
      onDone(t.rotatedToMaterial);
    });
  return (
    <SpaceBetween size="s">
      <Problem error={error ?? failed} />
      <Table<RotationsListEntry>
        loading={loading && !data}
        loadingText={t.loading}
        header={<Header variant="h2" description={t.materialsLead} actions={<Button disabled={!waits} loading={busy} onClick={rotate} data-testid="rotate-material">{t.rotateToMaterial}</Button>}>{t.materials}</Header>}
        items={items}
        pagination={pager}
        trackBy="KeyMaterialId"
        empty={error ? t.unreadable : t.none}
        wrapLines
        ariaLabels={{ tableLabel: t.materials }}
        columnDefinitions={[
          { id: 'id', header: t.materialId, isRowHeader: true, cell: (r) => <Box variant="code">{r.KeyMaterialId?.slice(0, 16)}…</Box> },
          { id: 'state', header: t.status, cell: (r) => t.materialStates[r.KeyMaterialState as keyof typeof t.materialStates] ?? r.KeyMaterialState },
          { id: 'import', header: t.material, cell: (r) => (r.ImportState === 'IMPORTED' ? <StatusIndicator type="success">{t.materialThere}</StatusIndicator> : <StatusIndicator type="warning">{t.materialMissing}</StatusIndicator>) },
          { id: 'until', header: t.expiration, cell: (r) => (r.ValidTo ? <When at={r.ValidTo} /> : r.ImportState === 'IMPORTED' ? t.noExpiration : '-') },
          { id: 'rotated', header: t.rotationDate, cell: (r) => (r.RotationDate ? <When at={r.RotationDate} /> : '-') },
          {
            id: 'delete', header: t.remove,
            cell: (r) => r.ImportState === 'IMPORTED' && <Button variant="inline-link" ariaLabel={`${t.remove}: ${r.KeyMaterialId}`} onClick={() => onDelete(r)}>{t.remove}</Button>,
          },
        ]}
      />
    </SpaceBetween>
  );
}

// Delete says what stops without the material, which is what stops while a key is disabled. Without material
// that only waits for its rotation nothing does.
function Delete({ meta, material, onDone }: { meta: KeyMetadata; material: RotationsListEntry; onDone: (told?: string) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.DeleteImportedKeyMaterialCommand({ KeyId: meta.Arn, KeyMaterialId: material.KeyMaterialId }));
      onDone(t.materialDeleted);
    });
  return (
    <Dialog title={t.deleteMaterial} onClose={() => onDone()} run={run} busy={busy} error={error} id="delete-material-now">
      {material.KeyMaterialState === 'PENDING_ROTATION' ? (
        <Alert type="info">{t.deleteWaitingLead}</Alert>
      ) : (
        <>
          <Alert type="warning">{t.deleteMaterialLead}</Alert>
          <Box variant="h3">{t.impactTitle}</Box>
          <Impact change={{ Type: 'DISABLE_KEY', KeyId: meta.Arn! }} />
        </>
      )}
    </Dialog>
  );
}
