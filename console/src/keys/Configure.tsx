import Alert from '@cloudscape-design/components/alert';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import RadioGroup from '@cloudscape-design/components/radio-group';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import type { KeySpec, OriginType } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { kinds, origins, type Kind } from './kinds';

// Config is what a new key shall be.
export type Config = { kind: Kind['id']; spec: KeySpec; origin: OriginType; multi: boolean; store: string; xksKey: string; understood: boolean };

export const plain: Config = { kind: 'symmetric', spec: 'SYMMETRIC_DEFAULT', origin: 'AWS_KMS', multi: false, store: '', xksKey: '', understood: false };

// Configure asks what a key shall be for and where its material comes from.
export function Configure({ config, onChange }: { config: Config; onChange: (c: Config) => void }) {
  const { t } = useWords();
  const kind = kinds.find((k) => k.id === config.kind)!;
  // What does not go together with a choice goes back to what always does.
  const fit = (c: Config): Config => {
    const origin = origins(c.spec).includes(c.origin) ? c.origin : 'AWS_KMS';
    return { ...c, origin, multi: c.multi && origin !== 'EXTERNAL_KEY_STORE' };
  };
  const specs = kind.specs.map((s) => ({ value: s, label: s }));
  return (
    <Container header={<Header variant="h2">{t.stepKey}</Header>}>
      <SpaceBetween size="l">
        <FormField label={t.keyType}>
          <RadioGroup
            value={config.kind}
            onChange={(e) => {
              const next = kinds.find((k) => k.id === e.detail.value)!;
              onChange(fit({ ...config, kind: next.id, spec: next.specs[0] }));
            }}
            items={kinds.map((k) => ({ value: k.id, label: t.keyKinds[k.id], description: t.keyKindHints[k.id] }))}
          />
        </FormField>
        {kind.specs.length > 1 && (
          <FormField label={t.keySpec}>
            <Select data-testid="spec" selectedOption={{ value: config.spec, label: config.spec }} options={specs} onChange={(e) => onChange(fit({ ...config, spec: e.detail.selectedOption.value as KeySpec }))} />
          </FormField>
        )}
        <FormField label={t.materialOrigin}>
          <RadioGroup
            value={config.origin}
            onChange={(e) => onChange(fit({ ...config, origin: e.detail.value as OriginType }))}
            items={origins(config.spec).map((o) => ({ value: o, label: t.origins[o as keyof typeof t.origins], description: t.originHints[o as keyof typeof t.originHints] }))}
          />
        </FormField>
        {config.origin === 'EXTERNAL_KEY_STORE' && <InStore config={config} onChange={onChange} />}
        {config.origin === 'EXTERNAL' && <Checkbox checked={config.understood} onChange={(e) => onChange({ ...config, understood: e.detail.checked })}>{t.importUnderstood}</Checkbox>}
        {config.origin !== 'EXTERNAL_KEY_STORE' && (
          <FormField label={t.regionality}>
            <RadioGroup
              value={config.multi ? 'multi' : 'single'}
              onChange={(e) => onChange({ ...config, multi: e.detail.value === 'multi' })}
              items={[{ value: 'single', label: t.singleRegion }, { value: 'multi', label: t.multiRegionKey, description: t.multiRegionHint }]}
            />
          </FormField>
        )}
      </SpaceBetween>
    </Container>
  );
}

// InStore asks for the key store and the key in it.
function InStore({ config, onChange }: { config: Config; onChange: (c: Config) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { data, error, loading } = useLoad(async () => {
    const { m, client } = await kms(s);
    const out: { value: string; label: string }[] = [];
    for await (const page of m.paginateDescribeCustomKeyStores({ client }, {})) {
      for (const x of page.CustomKeyStores ?? []) if (x.ConnectionState === 'CONNECTED') out.push({ value: x.CustomKeyStoreId!, label: `${x.CustomKeyStoreName} (${x.CustomKeyStoreId})` });
    }
    return out;
  }, [s]);
  return (
    <SpaceBetween size="l">
      <Problem error={error} />
      {data?.length === 0 && <Alert type="info">{t.noConnectedStores}</Alert>}
      <FormField label={t.store}>
        <Select
          data-testid="store" selectedOption={data?.find((o) => o.value === config.store) ?? null} options={data ?? []} placeholder={t.storeChoose} statusType={loading ? 'loading' : 'finished'} loadingText={t.loading} empty={t.none}
          onChange={(e) => onChange({ ...config, store: e.detail.selectedOption.value! })}
        />
      </FormField>
      <FormField label={t.xksKey} description={t.xksKeyHint}>
        <Input value={config.xksKey} name="xks-key" spellcheck={false} onChange={(e) => onChange({ ...config, xksKey: e.detail.value })} />
      </FormField>
    </SpaceBetween>
  );
}

// configured reports whether nothing is missing.
export function configured(c: Config): boolean {
  if (c.origin === 'EXTERNAL_KEY_STORE') return Boolean(c.store && c.xksKey.trim());
  return c.origin !== 'EXTERNAL' || c.understood;
}
