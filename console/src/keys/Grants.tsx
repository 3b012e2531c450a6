import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Modal from '@cloudscape-design/components/modal';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import Table from '@cloudscape-design/components/table';
import type { GrantListEntry, KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct, useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { predictImpact, type Effect } from '../aws/kagimori';
import { volumeOf } from './impact';
import { When } from '../ui/Dates';

// Grants of a key, in the server's pages.
export function Grants({ meta }: { meta: KeyMetadata }) {
  const { t } = useWords();
  const s = useSession();
  const [markers, setMarkers] = useState<(string | undefined)[]>([undefined]);
  const [chosen, choose] = useState<GrantListEntry[]>([]);
  const [revoking, setRevoking] = useState<GrantListEntry>();
  const [revoked, setRevoked] = useState(false);
  const marker = markers[markers.length - 1];
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await kms(s);
    return client.send(new m.ListGrantsCommand({ KeyId: meta.Arn, Limit: 50, Marker: marker }));
  }, [s, meta.Arn, marker]);
  if (error) return <Problem error={error} />;
  return (
    <SpaceBetween size="m">
      {revoked && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setRevoked(false)}>{t.revoked}</Alert>}
      <Table<GrantListEntry>
        loading={loading}
        loadingText={t.loading}
        items={data?.Grants ?? []}
        trackBy="GrantId"
        selectionType="single"
        selectedItems={chosen}
        onSelectionChange={(e) => choose(e.detail.selectedItems)}
        ariaLabels={{ tableLabel: t.grants, selectionGroupLabel: t.grants, itemSelectionLabel: (_s, g) => g.GrantId ?? '' }}
        empty={t.noGrants}
        wrapLines
        header={
          <Header
            variant="h2"
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />
                <Button disabled={chosen.length === 0} onClick={() => setRevoking(chosen[0])} data-testid="revoke">{t.revoke}</Button>
              </SpaceBetween>
            }
          >
            {t.grants}
          </Header>
        }
        pagination={
          <SpaceBetween direction="horizontal" size="xs">
            <Button iconName="angle-left" variant="icon" ariaLabel={t.previous} disabled={markers.length < 2} onClick={() => setMarkers((x) => x.slice(0, -1))} />
            <Box padding={{ top: 'xxs' }}>{t.page} {markers.length}</Box>
            <Button iconName="angle-right" variant="icon" ariaLabel={t.next} disabled={!data?.NextMarker} onClick={() => setMarkers((x) => [...x, data!.NextMarker])} />
          </SpaceBetween>
        }
        columnDefinitions={[
          { id: 'id', header: t.grantId, isRowHeader: true, cell: (g) => `${g.GrantId?.slice(0, 16)}…` },
          { id: 'grantee', header: t.grantee, cell: (g) => g.GranteePrincipal },
          { id: 'operations', header: t.operations, cell: (g) => g.Operations?.join(', ') },
          { id: 'constraints', header: t.constraints, cell: (g) => Object.entries({ ...g.Constraints?.EncryptionContextSubset, ...g.Constraints?.EncryptionContextEquals }).map(([k, v]) => `${k}=${v}`).join(', ') || '-' },
          { id: 'created', header: t.created, cell: (g) => <When at={g.CreationDate} /> },
        ]}
      />
      {revoking && (
        <Revoke
          meta={meta}
          grant={revoking}
          onDone={(done) => {
            setRevoking(undefined);
            if (done) {
              choose([]);
              setRevoked(true);
              reload();
            }
          }}
        />
      )}
    </SpaceBetween>
  );
}

// Revoke says what is lost, and then revokes.
function Revoke({ meta, grant, onDone }: { meta: KeyMetadata; grant: GrantListEntry; onDone: (done: boolean) => void }) {
  const { t, tag } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const impact = useLoad(() => predictImpact(s, { Type: 'REVOKE_GRANT', KeyId: meta.Arn!, GrantId: grant.GrantId }, tag), [s, meta, grant, tag]);
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      await client.send(new m.RevokeGrantCommand({ KeyId: meta.Arn, GrantId: grant.GrantId }));
      onDone(true);
    });
  return (
    <Modal
      visible
      header={t.revoke}
      closeAriaLabel={t.close}
      onDismiss={() => onDone(false)}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => onDone(false)}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} onClick={run} data-testid="revoke-now">{t.revoke}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box variant="code">{grant.GranteePrincipal}</Box>
        <Alert type="warning">
          <Box variant="p">{t.revokeLead}</Box>
          {volumeOf(grant) && <Box variant="p">{t.revokeVolume(volumeOf(grant)!)}</Box>}
        </Alert>
        {impact.loading && <Spinner />}
        {impact.data && <Losses effects={impact.data.Effects} />}
        <Problem error={impact.error} />
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}

// Losses are what a revoked grant means, by when it shows: as the service predicts it.
function Losses({ effects }: { effects: Effect[] }) {
  const { t } = useWords();
  if (!effects.length) return <Box data-testid="impact">{t.impactNone}</Box>;
  const moments = [['NOW', t.impactNow], ['HOST_RESTART', t.impactHost], ['RESTART', t.impactRestart], ['LAUNCH', t.impactLaunch]] as const;
  return (
    <div data-testid="impact">
      <KeyValuePairs
        items={moments.flatMap(([when, label]) => {
          const those = effects.filter((e) => e.When === when);
          return those.length ? [{ label, value: those.map((e) => <div key={e.ResourceType + e.ResourceId}>{t.impactStops(e.ResourceType, e.ResourceId, e.PartOf, e.Actions?.join(', ') ?? e.Refusal?.Action)}</div>) }] : [];
        })}
      />
    </div>
  );
}
