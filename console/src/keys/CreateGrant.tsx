import { useState } from 'react';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import Multiselect from '@cloudscape-design/components/multiselect';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Textarea from '@cloudscape-design/components/textarea';
import type { GrantOperation, KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct } from '../ui/load';
import { Problem } from '../ui/Problem';
import { usageOf } from './usage';

const always: GrantOperation[] = ['DescribeKey', 'CreateGrant', 'RetireGrant'];
const ciphers: GrantOperation[] = ['Encrypt', 'Decrypt', 'ReEncryptFrom', 'ReEncryptTo'];
// What a grant can be for, by the key's usage. Source: KMS Developer Guide, "Grant operations".
const operations: Record<ReturnType<typeof usageOf>, GrantOperation[]> = {
  symmetric: [...ciphers, 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext', ...always],
  rsa: [...ciphers, 'GetPublicKey', ...always],
  'sign-verify': ['Sign', 'Verify', 'GetPublicKey', ...always],
  'key-agreement': ['DeriveSharedSecret', 'GetPublicKey', ...always],
  mac: ['GenerateMac', 'VerifyMac', ...always],
};

type Constraint = 'none' | 'EncryptionContextSubset' | 'EncryptionContextEquals';

// contextOf reads lines name=value.
export function contextOf(text: string): Record<string, string> | undefined {
  const out: Record<string, string> = {};
  for (const line of text.split('\n').filter((l) => l.trim())) {
    const at = line.indexOf('=');
    if (at < 1) return undefined;
    out[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return Object.keys(out).length ? out : undefined;
}

// CreateGrant asks who may do what, and creates the grant.
export function CreateGrant({ meta, onDone }: { meta: KeyMetadata; onDone: (id?: string) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [grantee, setGrantee] = useState('');
  const [retiring, setRetiring] = useState('');
  const [name, setName] = useState('');
  const [chosen, choose] = useState<readonly { value?: string }[]>([]);
  const [constraint, setConstraint] = useState<Constraint>('none');
  const [context, setContext] = useState('');
  const symmetric = usageOf(meta) === 'symmetric';
  const pairs = constraint === 'none' ? undefined : contextOf(context);
  const ready = grantee.trim() && chosen.length && (constraint === 'none' || pairs);
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      const out = await client.send(
        new m.CreateGrantCommand({
          KeyId: meta.Arn, GranteePrincipal: grantee.trim(), RetiringPrincipal: retiring.trim() || undefined, Name: name.trim() || undefined,
          Operations: chosen.map((o) => o.value as GrantOperation), Constraints: pairs && { [constraint]: pairs },
        }),
      );
      onDone(out.GrantId);
    });
  const constraints = [
    { value: 'none', label: t.constraintNone },
    { value: 'EncryptionContextSubset', label: t.constraintSubset },
    { value: 'EncryptionContextEquals', label: t.constraintEquals },
  ];
  return (
    <Modal
      visible
      header={t.createGrant}
      closeAriaLabel={t.close}
      onDismiss={() => onDone()}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={() => onDone()}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} disabled={!ready} onClick={run} data-testid="create-grant-now">{t.createGrant}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <FormField label={t.grantee} description={t.granteeHint}>
          <Input value={grantee} onChange={(e) => setGrantee(e.detail.value)} spellcheck={false} placeholder="arn:aws:iam::111122223333:role/web" data-testid="grantee" />
        </FormField>
        <FormField label={t.operations}>
          <Multiselect
            data-testid="operations"
            options={operations[usageOf(meta)].map((o) => ({ value: o, label: o }))}
            selectedOptions={chosen}
            onChange={(e) => choose(e.detail.selectedOptions)}
            placeholder={t.operations}
            deselectAriaLabel={(o) => `${t.remove}: ${o.label}`}
          />
        </FormField>
        {symmetric && (
          <FormField label={t.constraints} description={t.constraintsHint}>
            <Select selectedOption={constraints.find((c) => c.value === constraint)!} options={constraints} onChange={(e) => setConstraint(e.detail.selectedOption.value as Constraint)} data-testid="constraint" />
          </FormField>
        )}
        {constraint !== 'none' && (
          <FormField label={t.contextLines} errorText={context && !pairs ? t.contextLinesHint : undefined} constraintText={t.contextLinesHint}>
            <Textarea value={context} rows={3} spellcheck={false} placeholder="aws:ebs:id=vol-0123456789abcdef0" onChange={(e) => setContext(e.detail.value)} />
          </FormField>
        )}
        <FormField label={<>{t.retiring} <i>({t.optional})</i></>} description={t.retiringHint}>
          <Input value={retiring} onChange={(e) => setRetiring(e.detail.value)} spellcheck={false} />
        </FormField>
        <FormField label={<>{t.grantName} <i>({t.optional})</i></>} description={t.grantNameHint}>
          <Input value={name} onChange={(e) => setName(e.detail.value)} spellcheck={false} />
        </FormField>
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}
