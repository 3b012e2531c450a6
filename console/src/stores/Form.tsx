import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import RadioGroup from '@cloudscape-design/components/radio-group';
import type { CustomKeyStoresListEntry as Store, UpdateCustomKeyStoreCommandInput, XksProxyConnectivityType } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { Choose } from '../ui/Choose';
import { Dialog } from '../ui/Dialog';
import { useAct } from '../ui/load';

const fixed = '/kms/xks/v1'; // where a proxy's path ends. Source: XKS Proxy API Specification, "URI path prefix"

type Credential = { AccessKeyId?: string; RawSecretAccessKey?: string };

// credentialOf reads a credential file: an object in JSON with the two names that KMS gives them.
export function credentialOf(text: string): Credential | undefined {
  try {
    const c = JSON.parse(text) as Credential;
    return typeof c.AccessKeyId === 'string' && typeof c.RawSecretAccessKey === 'string' ? c : undefined;
  } catch {
    return undefined;
  }
}

// Form creates an external key store, or changes one: what is sent is what was changed. The secret of the
// proxy's credential is only in this page's memory, and no answer of KMS has it.
export function Form({ store, onDone }: { store?: Store; onDone: (told?: string) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const proxy = store?.XksProxyConfiguration;
  const was = {
    name: store?.CustomKeyStoreName ?? '', connectivity: proxy?.Connectivity ?? 'PUBLIC_ENDPOINT', service: proxy?.VpcEndpointServiceName ?? '', endpoint: proxy?.UriEndpoint ?? '',
    prefix: proxy?.UriPath?.replace(fixed, '') ?? '', id: proxy?.AccessKeyId ?? '', secret: '',
  };
  const [form, set] = useState(was);
  const [unread, setUnread] = useState(false);
  const field = (name: keyof typeof form) => ({ value: form[name], onChange: (e: { detail: { value: string } }) => set((f) => ({ ...f, [name]: e.detail.value })) });
  const [endpoint, prefix, service] = [form.endpoint.trim(), form.prefix.trim().replace(/\/$/, ''), form.service.trim()];
  const vpc = form.connectivity === 'VPC_ENDPOINT_SERVICE';
  const connected = store?.ConnectionState === 'CONNECTED';
  const credential = form.secret ? { AccessKeyId: form.id.trim(), RawSecretAccessKey: form.secret.trim() } : undefined;
  const changed: Omit<UpdateCustomKeyStoreCommandInput, 'CustomKeyStoreId'> = {
    NewCustomKeyStoreName: form.name.trim() !== was.name ? form.name.trim() : undefined,
    XksProxyConnectivity: form.connectivity !== was.connectivity ? (form.connectivity as XksProxyConnectivityType) : undefined,
    XksProxyVpcEndpointServiceName: vpc && service !== was.service ? service : undefined,
    XksProxyUriEndpoint: endpoint !== was.endpoint ? endpoint : undefined,
    XksProxyUriPath: prefix !== was.prefix ? prefix + fixed : undefined,
    XksProxyAuthenticationCredential: credential,
  };
  const complete = form.name.trim() && /^https:\/\/./.test(endpoint) && (!vpc || service) && (store ? !credential || form.id.trim() : credential && form.id.trim());
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      if (store) {
        await client.send(new m.UpdateCustomKeyStoreCommand({ CustomKeyStoreId: store.CustomKeyStoreId, ...changed }));
        return onDone(t.storeUpdated);
      }
      await client.send(
        new m.CreateCustomKeyStoreCommand({
          CustomKeyStoreName: form.name.trim(), CustomKeyStoreType: 'EXTERNAL_KEY_STORE', XksProxyConnectivity: form.connectivity as XksProxyConnectivityType,
          XksProxyVpcEndpointServiceName: vpc ? service : undefined, XksProxyUriEndpoint: endpoint, XksProxyUriPath: prefix + fixed, XksProxyAuthenticationCredential: credential,
        }),
      );
      onDone(t.storeCreated);
    });
  const title = store ? t.editStore : t.createStore;
  const nothing = store && Object.values(changed).every((v) => v === undefined);
  return (
    <Dialog title={title} label={store ? t.save : title} size="large" onClose={() => onDone()} run={run} busy={busy} error={error} disabled={!complete || nothing} id="save-store">
      <Alert type="info">{connected ? t.storeConnectedLead : t.storeLead}</Alert>
      <FormField label={t.storeName}>
        <Input {...field('name')} name="store-name" spellcheck={false} />
      </FormField>
      <FormField label={t.connectivity}>
        <RadioGroup
          value={form.connectivity}
          onChange={(e) => set((f) => ({ ...f, connectivity: e.detail.value as typeof f.connectivity }))}
          items={[{ value: 'PUBLIC_ENDPOINT', label: t.publicEndpoint, disabled: connected }, { value: 'VPC_ENDPOINT_SERVICE', label: t.vpcService, disabled: connected }]}
        />
      </FormField>
      {vpc && (
        <FormField label={t.vpcServiceName}>
          <Input {...field('service')} disabled={connected} spellcheck={false} placeholder="com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0" />
        </FormField>
      )}
      <FormField label={t.proxyEndpoint}>
        <Input {...field('endpoint')} name="endpoint" disabled={connected} spellcheck={false} placeholder="https://keys.example.com" />
      </FormField>
      <FormField label={<>{t.proxyPrefix} <i>- {t.optional}</i></>} description={t.proxyPrefixHint(prefix + fixed)}>
        <Input {...field('prefix')} name="prefix" spellcheck={false} placeholder="/example/prefix" />
      </FormField>
      <FormField label={t.credentialFile} description={t.credentialFileHint} errorText={unread && t.credentialUnread}>
        <Choose
          accept=".json"
          onChoose={async (file) => {
            const c = file && credentialOf(await file.text());
            setUnread(Boolean(file && !c));
            if (c) set((f) => ({ ...f, id: c.AccessKeyId!, secret: c.RawSecretAccessKey! }));
          }}
        />
      </FormField>
      <FormField label={t.proxyKeyId}>
        <Input {...field('id')} name="proxy-key-id" autoComplete={false} spellcheck={false} />
      </FormField>
      <FormField label={t.proxySecret} description={store && t.proxySecretHint}>
        <Input {...field('secret')} name="proxy-secret" type="password" autoComplete={false} />
      </FormField>
    </Dialog>
  );
}
