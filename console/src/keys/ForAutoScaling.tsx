import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import CopyToClipboard from '@cloudscape-design/components/copy-to-clipboard';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import RadioGroup from '@cloudscape-design/components/radio-group';
import SpaceBetween from '@cloudscape-design/components/space-between';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { iam, useSession } from '../aws/session';
import type { Edit } from '../aws/kagimori';
import { useAct, useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';

type Kind = 'default' | 'suffix' | 'spot';

// role is the service-linked role that launches.
export function role(account: string, kind: Kind, suffix: string): { arn: string; name: string; service: string } {
  const service = kind === 'spot' ? 'spot.amazonaws.com' : 'autoscaling.amazonaws.com';
  const name = kind === 'spot' ? 'AWSServiceRoleForEC2Spot' : 'AWSServiceRoleForAutoScaling' + (kind === 'suffix' ? '_' + suffix : '');
  return { arn: `arn:aws:iam::${account}:role/aws-service-role/${service}/${name}`, name, service };
}

// grantCommand and requesterPolicy are those of the documentation's second example.
const operations = ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'DescribeKey', 'CreateGrant'];
const grantCommand = (region: string, key: string, grantee: string) =>
  `aws kms create-grant \\\n  --region ${region} \\\n  --key-id ${key} \\\n  --grantee-principal ${grantee} \\\n  --operations ${operations.map((o) => `"${o}"`).join(' ')}`;
const requesterPolicy = (key: string, owner: string) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Sid: `AllowCreationOfGrantForTheKMSKeyinExternalAccount${owner}`, Effect: 'Allow', Action: 'kms:CreateGrant', Resource: key }] }, null, 2);

export function ForAutoScaling({ meta, edit, onClose }: { meta: KeyMetadata; edit: (edits: Edit[]) => Promise<void>; onClose: () => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [where, setWhere] = useState('this');
  const [account, setAccount] = useState('');
  const [kind, setKind] = useState<Kind>('default');
  const [suffix, setSuffix] = useState('');
  const [least, setLeast] = useState(false);
  const owner = meta.AWSAccountId!;
  const here = where === 'this';
  const linked = role(here ? owner : account, kind, suffix);
  const missing = useLoad(async () => {
    if (!here || (kind === 'suffix' && !suffix)) return false;
    const { m, client } = await iam(s);
    return client.send(new m.GetRoleCommand({ RoleName: linked.name })).then(() => false, (e) => (e as Error).name === 'NoSuchEntityException');
  }, [s, here, linked.name]);
  const create = () =>
    act(async () => {
      const { m, client } = await iam(s);
      await client.send(new m.CreateServiceLinkedRoleCommand({ AWSServiceName: linked.service, CustomSuffix: kind === 'suffix' ? suffix : undefined }));
      missing.reload();
    });
  const ready = (here || /^\d{12}$/.test(account)) && (kind !== 'suffix' || suffix !== '') && meta.KeySpec === 'SYMMETRIC_DEFAULT';
  const edits: Edit[] = here ? [{ Type: least ? 'ADD_LINKED_ROLE_LEAST' : 'ADD_LINKED_ROLE', Principal: linked.arn }] : [{ Type: 'SHARE_WITH_ACCOUNT', Principal: account }];
  return (
    <Modal
      visible
      size="large"
      header={t.forAutoScaling}
      closeAriaLabel={t.close}
      onDismiss={onClose}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} disabled={!ready || (here && missing.data === true)} onClick={() => act(() => edit(edits))} data-testid="review-launch">{t.review}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Box>{t.forAutoScalingLead}</Box>
        {meta.KeySpec !== 'SYMMETRIC_DEFAULT' && <Alert type="error">{t.notSymmetric}</Alert>}
        <FormField label={t.groupAccount}>
          <RadioGroup value={where} onChange={(e) => setWhere(e.detail.value)} items={[{ value: 'this', label: `${t.thisAccount} (${owner})` }, { value: 'other', label: t.otherAccount }]} />
        </FormField>
        {!here && (
          <FormField label={t.accountId}>
            <Input value={account} onChange={(e) => setAccount(e.detail.value.trim())} inputMode="numeric" />
          </FormField>
        )}
        <FormField label={t.linkedRole}>
          <RadioGroup value={kind} onChange={(e) => setKind(e.detail.value as Kind)} items={[{ value: 'default', label: t.roleDefault }, { value: 'suffix', label: t.roleSuffix }, { value: 'spot', label: t.roleSpot }]} />
        </FormField>
        {kind === 'suffix' && (
          <FormField label={t.suffix}>
            <Input value={suffix} onChange={(e) => setSuffix(e.detail.value.trim())} />
          </FormField>
        )}
        {here && <Checkbox checked={least} onChange={(e) => setLeast(e.detail.checked)} description={t.leastHint}>{t.least}</Checkbox>}
        {here && missing.data === true && (
          <Alert type="warning" action={<Button loading={busy} onClick={create}>{t.createRole}</Button>}>{t.roleMissing(linked.name)}</Alert>
        )}
        {!here && /^\d{12}$/.test(account) && (
          <SpaceBetween size="s">
            <Box variant="h3">{t.sharedNext}</Box>
            <Box>{t.sharedGrant}</Box>
            <Snippet text={grantCommand(s.region, meta.Arn!, linked.arn)} />
            <Box>{t.sharedPolicy}</Box>
            <Snippet text={requesterPolicy(meta.Arn!, owner)} />
          </SpaceBetween>
        )}
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}

// Snippet is a text to copy.
export function Snippet({ text }: { text: string }) {
  const { t } = useWords();
  return (
    <SpaceBetween size="xxs">
      <pre className="kg-pre">{text}</pre>
      <CopyToClipboard copyButtonText={t.copy} copySuccessText={t.copied} copyErrorText={t.failedToCopy} textToCopy={text} />
    </SpaceBetween>
  );
}
