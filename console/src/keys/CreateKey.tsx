import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import Textarea from '@cloudscape-design/components/textarea';
import Wizard from '@cloudscape-design/components/wizard';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { editKeyPolicy, type Edit } from '../aws/kagimori';
import { go } from '../app/route';
import { useAct, useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { pretty } from '../ui/Diff';
import { configured, Configure, plain, type Config } from './Configure';
import { edits as editsOf, kinds } from './kinds';
import { contextOf as pairsOf } from './CreateGrant';
import { arnsOf, nobody, People } from './People';

const split = (text: string) => text.split(',').map((x) => x.trim()).filter(Boolean);

// rootPolicy is the default key policy: IAM policies of the account decide.
const rootPolicy = (account: string) =>
  JSON.stringify({ Version: '2012-10-17', Id: 'key-consolepolicy-3', Statement: [{ Sid: 'Enable IAM User Permissions', Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }] }, null, 2);

// CreateKey makes a key in four steps, the last of which shows the policy that it gets.
export default function CreateKey() {
  const { t, tag } = useWords();
  const s = useSession();
  const [step, setStep] = useState(0);
  const [config, setConfig] = useState<Config>(plain);
  const [text, set] = useState({ alias: '', description: '', tags: '', accounts: '' });
  const [administrators, setAdministrators] = useState(nobody);
  const [mayDelete, setMayDelete] = useState(true);
  const [users, setUsers] = useState(nobody);
  const [incomplete, setIncomplete] = useState(false);
  const { busy, error, act } = useAct();
  const field = (name: keyof typeof text) => ({ value: text[name], onChange: (e: { detail: { value: string } }) => set((f) => ({ ...f, [name]: e.detail.value })) });
  const admins = arnsOf(administrators);
  const edits: Edit[] = [
    ...admins.map((Principal) => ({ Type: 'ADD_ADMINISTRATOR' as const, Principal })),
    ...(admins.length ? [{ Type: mayDelete ? ('ALLOW_DELETE' as const) : ('FORBID_DELETE' as const) }] : []),
    ...arnsOf(users).map((Principal) => ({ Type: 'ADD_USER' as const, Principal })),
    ...split(text.accounts).map((Principal) => ({ Type: 'ADD_ACCOUNT' as const, Principal })),
  ];
  const wanted = JSON.stringify(edits);
  const policy = useLoad(async () => {
    if (step < 3) return '';
    const root = rootPolicy(s.account);
    return edits.length ? (await editKeyPolicy(s, root, editsOf[config.kind], edits, tag)).Policy : root;
  }, [s, tag, step, config.kind, wanted]);
  const tags = Object.entries(pairsOf(text.tags) ?? {});
  const ready = [configured(config), !text.tags.trim() || tags.length > 0, split(text.accounts).every((a) => /^\d{12}$/.test(a)), true];
  const create = () =>
    act(async () => {
      const { m, client } = await kms(s);
      const external = config.origin === 'EXTERNAL_KEY_STORE';
      const { KeyMetadata: meta } = await client.send(
        new m.CreateKeyCommand({
          KeySpec: config.spec, KeyUsage: kinds.find((k) => k.id === config.kind)!.usage, Description: text.description || undefined, Policy: policy.data, Origin: config.origin,
          MultiRegion: config.multi || undefined, CustomKeyStoreId: external ? config.store : undefined, XksKeyId: external ? config.xksKey.trim() : undefined,
          Tags: tags.length ? tags.map(([TagKey, TagValue]) => ({ TagKey, TagValue })) : undefined,
        }),
      );
      if (text.alias) await client.send(new m.CreateAliasCommand({ AliasName: `alias/${text.alias.trim()}`, TargetKeyId: meta!.KeyId })).catch((e) => { throw new Error(`${t.aliasFailed} ${meta!.KeyId}: ${(e as Error).message}`); });
      go('keys', meta!.KeyId!, ...(config.origin === 'EXTERNAL' ? ['material'] : []));
    });
  const facts = [
    { label: t.keyType, value: t.keyKinds[config.kind] }, { label: t.keySpec, value: config.spec }, { label: t.materialOrigin, value: t.origins[config.origin as keyof typeof t.origins] },
    { label: t.regionality, value: config.multi ? t.multiRegionKey : t.singleRegion }, { label: t.alias, value: text.alias || '-' }, { label: t.tagsTab, value: tags.map(([k, v]) => `${k}=${v}`).join(', ') || '-' },
    ...(config.origin === 'EXTERNAL_KEY_STORE' ? [{ label: t.store, value: config.store }, { label: t.xksKey, value: config.xksKey }] : []),
  ];
  return (
    <Wizard
      activeStepIndex={step}
      isLoadingNextStep={busy}
      onCancel={() => go('keys')}
      onNavigate={(e) => {
        const to = e.detail.requestedStepIndex;
        const stays = to > step && !ready.slice(step, to).every(Boolean);
        setIncomplete(stays);
        if (!stays) setStep(to);
      }}
      onSubmit={create}
      i18nStrings={{ cancelButton: t.cancel, previousButton: t.previousStep, nextButton: t.nextStep, submitButton: t.create }}
      steps={[
        { title: t.stepKey, description: t.createLead, errorText: incomplete && t.stepIncomplete, content: <Configure config={config} onChange={setConfig} /> },
        {
          title: t.stepLabels,
          errorText: incomplete && t.stepIncomplete,
          content: (
            <Container header={<Header variant="h2">{t.stepLabels}</Header>}>
              <SpaceBetween size="l">
                <FormField label={<>{t.aliasName} <i>- {t.optional}</i></>} description={t.aliasHint}><Input {...field('alias')} name="alias" /></FormField>
                <FormField label={<>{t.descriptionLabel} <i>- {t.optional}</i></>}><Input {...field('description')} name="description" /></FormField>
                <FormField label={<>{t.tagsTab} <i>- {t.optional}</i></>} description={t.contextLinesHint} errorText={!ready[1] && t.contextLinesHint}><Textarea {...field('tags')} rows={3} /></FormField>
              </SpaceBetween>
            </Container>
          ),
        },
        {
          title: t.stepAccess,
          errorText: incomplete && t.stepIncomplete,
          content: (
            <SpaceBetween size="l">
              <Container header={<Header variant="h2" description={t.administratorsLead}>{t.administrators}</Header>}>
                <SpaceBetween size="m">
                  <People label={t.pick} chosen={administrators} onChange={setAdministrators} id="administrators" />
                  <Checkbox checked={mayDelete} onChange={(e) => setMayDelete(e.detail.checked)}>{t.allowDelete}</Checkbox>
                </SpaceBetween>
              </Container>
              <Container header={<Header variant="h2" description={t.usersLead}>{t.users}</Header>}>
                <People label={t.pick} chosen={users} onChange={setUsers} id="users" />
              </Container>
              <Container header={<Header variant="h2" description={t.accountsLead}>{t.accounts}</Header>}>
                <FormField label={t.accountId} description={t.otherHint} errorText={!ready[2] && t.otherHint}><Input {...field('accounts')} name="accounts" spellcheck={false} placeholder="111122223333" /></FormField>
              </Container>
            </SpaceBetween>
          ),
        },
        {
          title: t.stepReview,
          content: (
            <SpaceBetween size="m">
              <Problem error={policy.error ?? error} />
              <Container header={<Header variant="h2">{t.stepKey}</Header>}><KeyValuePairs columns={3} items={facts} /></Container>
              <Container header={<Header variant="h2">{t.resultingPolicy}</Header>}>
                {policy.loading ? <Spinner /> : <pre className="kg-pre">{pretty(policy.data ?? '')}</pre>}
              </Container>
              {text.alias === '' && <Alert type="info">{t.noAliasLead}</Alert>}
            </SpaceBetween>
          ),
        },
      ]}
    />
  );
}
