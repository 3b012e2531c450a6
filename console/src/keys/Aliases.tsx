import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import type { AliasListEntry, KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct, useLoad } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';

const full = (name: string) => (name.startsWith('alias/') ? name : `alias/${name}`);

type Doing = { what: 'delete' | 'move'; alias: AliasListEntry };

// Aliases of a key: to create, to point to another key, and to delete.
export function Aliases({ meta, onChanged }: { meta: KeyMetadata; onChanged: () => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error: failed, act } = useAct();
  const [name, setName] = useState('');
  const [doing, begin] = useState<Doing>();
  const [done, setDone] = useState<string>();
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await kms(s);
    const out: AliasListEntry[] = [];
    for await (const page of m.paginateListAliases({ client }, { KeyId: meta.KeyId })) out.push(...(page.Aliases ?? []));
    return out;
  }, [s, meta.KeyId]);
  const create = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.CreateAliasCommand({ AliasName: full(name.trim()), TargetKeyId: meta.KeyId }));
      setName('');
      setDone(t.aliasCreated);
      reload();
      onChanged();
    });
  const { items, pager } = usePages(data ?? [], 50);
  if (error) return <Problem error={error} />;
  const own = meta.KeyManager === 'CUSTOMER';
  return (
    <SpaceBetween size="m">
      {done && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setDone(undefined)}>{done}</Alert>}
      <Problem error={failed} />
      <Table<AliasListEntry>
        loading={loading}
        loadingText={t.loading}
        header={<Header variant="h2">{t.aliases}</Header>}
        items={items}
        pagination={pager}
        trackBy="AliasName"
        empty={t.noAliases}
        columnDefinitions={[
          { id: 'name', header: t.alias, isRowHeader: true, cell: (a) => a.AliasName },
          { id: 'arn', header: t.arn, cell: (a) => <Box variant="code">{a.AliasArn}</Box> },
          ...(own
            ? [
                {
                  id: 'do', header: t.keyActions,
                  cell: (a: AliasListEntry) => (
                    <SpaceBetween direction="horizontal" size="s">
                      <Button variant="inline-link" ariaLabel={`${t.moveAlias}: ${a.AliasName}`} onClick={() => begin({ what: 'move', alias: a })}>{t.moveAlias}</Button>
                      <Button variant="inline-link" ariaLabel={`${t.remove}: ${a.AliasName}`} onClick={() => begin({ what: 'delete', alias: a })}>{t.remove}</Button>
                    </SpaceBetween>
                  ),
                },
              ]
            : []),
        ]}
        footer={
          own && (
            <SpaceBetween direction="horizontal" size="xs">
              <Input ariaLabel={t.aliasName} placeholder={t.aliasName} value={name} spellcheck={false} onChange={(e) => setName(e.detail.value)} />
              <Button loading={busy} disabled={!name.trim()} onClick={create} data-testid="add-alias">{t.add}</Button>
            </SpaceBetween>
          )
        }
      />
      {doing && (
        <Change
          {...doing}
          onDone={(changed) => {
            begin(undefined);
            if (!changed) return;
            setDone(doing.what === 'delete' ? t.aliasDeleted : t.aliasMoved);
            reload();
            onChanged();
          }}
        />
      )}
    </SpaceBetween>
  );
}

// Change says what an alias means to those who use it, and deletes it or points it to another key.
function Change({ what, alias, onDone }: Doing & { onDone: (changed: boolean) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [target, setTarget] = useState('');
  const title = what === 'delete' ? t.deleteAlias : t.moveAlias;
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      const AliasName = alias.AliasName;
      if (what === 'delete') await client.send(new m.DeleteAliasCommand({ AliasName }));
      else await client.send(new m.UpdateAliasCommand({ AliasName, TargetKeyId: target.trim() }));
      onDone(true);
    });
  return (
    <Modal
      visible
      header={title}
      closeAriaLabel={t.close}
      onDismiss={() => onDone(false)}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => onDone(false)}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} disabled={what === 'move' && !target.trim()} onClick={run} data-testid="alias-now">{title}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box variant="code">{alias.AliasName}</Box>
        <Alert type="warning">{what === 'delete' ? t.deleteAliasLead : t.moveAliasLead}</Alert>
        {what === 'move' && (
          <FormField label={t.targetKey} description={t.targetKeyHint}>
            <Input value={target} spellcheck={false} onChange={(e) => setTarget(e.detail.value)} data-testid="target-key" />
          </FormField>
        )}
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}
