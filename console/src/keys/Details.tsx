import { useState } from 'react';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import type { KeyMetadata, RotationsListEntry } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct, useLoad } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { When } from '../ui/Dates';

// Rotation shows and changes automatic rotation, and the rotations so far.
export function Rotation({ meta }: { meta: KeyMetadata }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error: failed, act } = useAct();
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await kms(s);
    const all = async () => {
      const out: RotationsListEntry[] = [];
      for await (const page of m.paginateListKeyRotations({ client, pageSize: 1000 }, { KeyId: meta.KeyId })) out.push(...(page.Rotations ?? []));
      return out;
    };
    const [status, past] = await Promise.all([client.send(new m.GetKeyRotationStatusCommand({ KeyId: meta.KeyId })), all()]);
    return { status, past };
  }, [s, meta.KeyId]);
  const on = data?.status.KeyRotationEnabled;
  const { items, pager } = usePages(data?.past ?? [], 25);
  const change = (what: 'on' | 'off' | 'now') =>
    act(async () => {
      const { m, client } = await kms(s);
      const KeyId = meta.KeyId;
      if (what === 'on') await client.send(new m.EnableKeyRotationCommand({ KeyId }));
      else if (what === 'off') await client.send(new m.DisableKeyRotationCommand({ KeyId }));
      else await client.send(new m.RotateKeyOnDemandCommand({ KeyId }));
      reload();
    });
  return (
    <SpaceBetween size="m">
      <Problem error={error ?? failed} />
      {data && (
        <Container
          header={
            <Header
              variant="h2"
              actions={
                <SpaceBetween direction="horizontal" size="xs">
                  {meta.Origin === 'AWS_KMS' && <Button loading={busy} onClick={() => change(on ? 'off' : 'on')}>{on ? t.turnOff : t.turnOn}</Button>}
                  <Button loading={busy} onClick={() => change('now')}>{t.rotateNow}</Button>
                </SpaceBetween>
              }
            >
              {t.rotation}
            </Header>
          }
        >
          <KeyValuePairs columns={2} items={[{ label: t.status, value: on ? t.rotationOn(data.status.RotationPeriodInDays) : t.rotationOff }, { label: t.nextRotation, value: <When at={data.status.NextRotationDate} /> }]} />
        </Container>
      )}
      {!error && (
        <Table
          loading={loading}
          loadingText={t.loading}
          header={<Header variant="h2">{t.rotations}</Header>}
          items={items}
          pagination={pager}
          empty={t.none}
          columnDefinitions={[
            { id: 'date', header: t.rotationDate, isRowHeader: true, cell: (r) => <When at={r.RotationDate} /> },
            { id: 'type', header: t.rotationType, cell: (r) => r.RotationType },
          ]}
        />
      )}
    </SpaceBetween>
  );
}

// Tags of a key, to add and to remove.
export function Tags({ meta }: { meta: KeyMetadata }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error: failed, act } = useAct();
  const [tag, setTag] = useState({ key: '', value: '' });
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await kms(s);
    return (await client.send(new m.ListResourceTagsCommand({ KeyId: meta.KeyId }))).Tags ?? [];
  }, [s, meta.KeyId]);
  const add = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.TagResourceCommand({ KeyId: meta.KeyId, Tags: [{ TagKey: tag.key, TagValue: tag.value }] }));
      setTag({ key: '', value: '' });
      reload();
    });
  const remove = (key: string) =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.UntagResourceCommand({ KeyId: meta.KeyId, TagKeys: [key] }));
      reload();
    });
  if (error) return <Problem error={error} />;
  return (
    <SpaceBetween size="m">
      <Problem error={failed} />
      <Table
        loading={loading}
        loadingText={t.loading}
        header={<Header variant="h2">{t.tagsTab}</Header>}
        items={data ?? []}
        empty={t.noTags}
        columnDefinitions={[
          { id: 'key', header: t.tagKey, isRowHeader: true, cell: (x) => x.TagKey },
          { id: 'value', header: t.tagValue, cell: (x) => x.TagValue },
          { id: 'remove', header: t.remove, cell: (x) => <Button variant="inline-link" ariaLabel={`${t.remove}: ${x.TagKey}`} loading={busy} onClick={() => remove(x.TagKey!)}>{t.remove}</Button> },
        ]}
        footer={
          <SpaceBetween direction="horizontal" size="xs">
            <Input ariaLabel={t.tagKey} placeholder={t.tagKey} value={tag.key} onChange={(e) => setTag({ ...tag, key: e.detail.value })} />
            <Input ariaLabel={t.tagValue} placeholder={t.tagValue} value={tag.value} onChange={(e) => setTag({ ...tag, value: e.detail.value })} />
            <Button loading={busy} disabled={!tag.key} onClick={add} data-testid="add-tag">{t.add}</Button>
          </SpaceBetween>
        }
      />
    </SpaceBetween>
  );
}
