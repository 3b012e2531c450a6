import { useState } from 'react';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import Form from '@cloudscape-design/components/form';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Input from '@cloudscape-design/components/input';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useWords } from '../i18n';
import { signIn, type Session } from '../aws/session';
import { useAct, useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';

const remembered = 'kagimori.region';

// isDevelopment asks the server whether its credentials are those that everybody knows.
async function isDevelopment(): Promise<boolean> {
  const res = await fetch('/_kagimori/health');
  return res.ok && ((await res.json()) as { dev?: boolean }).dev === true;
}

// SignIn takes credentials. Only the Region is remembered.
export function SignIn({ onSession }: { onSession: (s: Session) => void }) {
  const { t } = useWords();
  const { busy, error, act } = useAct();
  const { data: dev } = useLoad(isDevelopment, []);
  const [form, set] = useState({ id: '', secret: '', token: '', role: '', region: localStorage.getItem(remembered) ?? 'us-east-1' });
  const field = (name: keyof typeof form) => ({ value: form[name], onChange: (e: { detail: { value: string } }) => set((f) => ({ ...f, [name]: e.detail.value })) });
  const submit = () =>
    act(async () => {
      const region = form.region.trim();
      const own = { accessKeyId: form.id.trim(), secretAccessKey: form.secret, sessionToken: form.token.trim() || undefined };
      const session = await signIn(region, own, form.role.trim());
      localStorage.setItem(remembered, region);
      onSession(session);
    });
  return (
    <div className="kg-sign-in">
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
      >
        <Form actions={<Button variant="primary" formAction="submit" loading={busy} disabled={!form.id || !form.secret}>{t.signIn}</Button>} header={<Header variant="h1" description={t.signInLead}>{t.signIn}</Header>}>
          <SpaceBetween size="l">
            <Problem error={error} />
            <Container>
              <SpaceBetween size="l">
                <FormField label={t.accessKey} description={dev && t.devHint}>
                  <Input {...field('id')} name="access-key" autoFocus autoComplete={false} spellcheck={false} />
                </FormField>
                <FormField label={t.secretKey}>
                  <Input {...field('secret')} name="secret" type="password" autoComplete={false} />
                </FormField>
                <FormField label={t.region}>
                  <Input {...field('region')} name="region" spellcheck={false} />
                </FormField>
                <ExpandableSection headerText={`${t.roleToAssume}, ${t.sessionToken}`}>
                  <SpaceBetween size="l">
                    <FormField label={<>{t.roleToAssume} <i>- {t.optional}</i></>} description={t.roleHint}>
                      <Input {...field('role')} name="role" spellcheck={false} placeholder="arn:aws:iam::111122223333:role/KeyAdmin" />
                    </FormField>
                    <FormField label={<>{t.sessionToken} <i>- {t.optional}</i></>}>
                      <Input {...field('token')} name="token" type="password" autoComplete={false} />
                    </FormField>
                  </SpaceBetween>
                </ExpandableSection>
              </SpaceBetween>
            </Container>
          </SpaceBetween>
        </Form>
      </form>
    </div>
  );
}
