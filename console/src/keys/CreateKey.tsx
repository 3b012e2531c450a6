import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import Wizard from '@cloudscape-design/components/wizard';
import type { KeySpec, KeyUsageType } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { editKeyPolicy, type Edit, type Usage } from '../aws/kagimori';
import { go } from '../app/route';
import { useAct, useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { pretty } from '../ui/Diff';

type Kind = { spec: KeySpec; usage: KeyUsageType; edits: Usage };
const kinds: Kind[] = [
  { spec: 'SYMMETRIC_DEFAULT', usage: 'ENCRYPT_DECRYPT', edits: 'symmetric' },
  { spec: 'RSA_2048', usage: 'ENCRYPT_DECRYPT', edits: 'rsa' },
  { spec: 'RSA_4096', usage: 'ENCRYPT_DECRYPT', edits: 'rsa' },
  { spec: 'RSA_2048', usage: 'SIGN_VERIFY', edits: 'sign-verify' },
  { spec: 'ECC_NIST_P256', usage: 'SIGN_VERIFY', edits: 'sign-verify' },
  { spec: 'ECC_NIST_P256', usage: 'KEY_AGREEMENT', edits: 'key-agreement' },
  { spec: 'HMAC_256', usage: 'GENERATE_VERIFY_MAC', edits: 'mac' },
];

const split = (text: string) => text.split(',').map((x) => x.trim()).filter(Boolean);

// rootPolicy is the default key policy: IAM policies of the account decide.
const rootPolicy = (account: string) =>
  JSON.stringify({ Version: '2012-10-17', Id: 'key-consolepolicy-3', Statement: [{ Sid: 'Enable IAM User Permissions', Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }] }, null, 2);

export default function CreateKey() {
  const { t } = useWords();
  const s = useSession();
  const [step, setStep] = useState(0);
  const [kind, setKind] = useState(0);
  const [text, set] = useState({ alias: '', description: '', administrators: '', users: '', accounts: '' });
  const { busy, error, act } = useAct();
  const field = (name: keyof typeof text) => ({ value: text[name], onChange: (e: { detail: { value: string } }) => set((f) => ({ ...f, [name]: e.detail.value })) });
  const edits: Edit[] = [
    ...split(text.administrators).map((Principal) => ({ Type: 'ADD_ADMINISTRATOR' as const, Principal })),
    ...split(text.users).map((Principal) => ({ Type: 'ADD_USER' as const, Principal })),
    ...split(text.accounts).map((Principal) => ({ Type: 'ADD_ACCOUNT' as const, Principal })),
  ];
  const wanted = JSON.stringify(edits);
  const policy = useLoad(async () => {
    if (step < 2) return '';
    const root = rootPolicy(s.account);
    return edits.length ? (await editKeyPolicy(s, root, kinds[kind].edits, edits)).Policy : root;
  }, [s, step, kind, wanted]);
  const create = () =>
    act(async () => {
      const { m, client } = await kms(s);
      const { KeyMetadata: meta } = await client.send(new m.CreateKeyCommand({ KeySpec: kinds[kind].spec, KeyUsage: kinds[kind].usage, Description: text.description || undefined, Policy: policy.data }));
      if (text.alias) await client.send(new m.CreateAliasCommand({ AliasName: `alias/${text.alias}`, TargetKeyId: meta!.KeyId })).catch((e) => { throw new Error(`${t.aliasFailed} ${meta!.KeyId}: ${(e as Error).message}`); });
      go('keys', meta!.KeyId!);
    });
  const options = kinds.map((k, i) => ({ value: String(i), label: i === 0 ? t.symmetric : k.spec, description: k.usage }));
  return (
    <Wizard
      activeStepIndex={step}
      isLoadingNextStep={busy}
      onCancel={() => go('keys')}
      onNavigate={(e) => setStep(e.detail.requestedStepIndex)}
      onSubmit={create}
      i18nStrings={{ cancelButton: t.cancel, previousButton: t.previousStep, nextButton: t.nextStep, submitButton: t.create }}
      steps={[
        {
          title: t.stepKey,
          description: t.createLead,
          content: (
            <Container header={<Header variant="h2">{t.stepKey}</Header>}>
              <SpaceBetween size="l">
                <FormField label={t.keySpec}>
                  <Select selectedOption={options[kind]} options={options} onChange={(e) => setKind(Number(e.detail.selectedOption.value))} />
                </FormField>
                <FormField label={t.aliasName} description={t.aliasHint}><Input {...field('alias')} /></FormField>
                <FormField label={t.descriptionLabel}><Input {...field('description')} /></FormField>
              </SpaceBetween>
            </Container>
          ),
        },
        {
          title: t.stepAccess,
          content: (
            <Container header={<Header variant="h2">{t.stepAccess}</Header>}>
              <SpaceBetween size="l">
                <FormField label={t.adminsLabel} description={t.arnsHint}><Input {...field('administrators')} spellcheck={false} /></FormField>
                <FormField label={t.usersLabel} description={t.arnsHint}><Input {...field('users')} spellcheck={false} /></FormField>
                <FormField label={t.otherLabel} description={t.otherHint}><Input {...field('accounts')} spellcheck={false} /></FormField>
              </SpaceBetween>
            </Container>
          ),
        },
        {
          title: t.stepReview,
          content: (
            <SpaceBetween size="m">
              <Problem error={policy.error ?? error} />
              <Container header={<Header variant="h2">{t.resultingPolicy}</Header>}>
                {policy.loading ? <Spinner /> : <pre className="kg-pre">{pretty(policy.data ?? '')}</pre>}
              </Container>
              {text.alias === '' && <Alert type="info">{t.noAliases}</Alert>}
            </SpaceBetween>
          ),
        },
      ]}
    />
  );
}
