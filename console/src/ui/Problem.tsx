import { useContext } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Link from '@cloudscape-design/components/link';
import { useWords } from '../i18n';
import { over, SessionContext, SignOutContext } from '../aws/session';
import { href } from '../app/route';
import { Said } from './Said';

// Problem shows an error as the service said it, leads to the explanation of a denial, and to the sign-in
// when the credentials have ended.
export function Problem({ error }: { error: unknown }) {
  const { t } = useWords();
  const signOut = useContext(SignOutContext);
  const signedIn = useContext(SessionContext) !== null;
  if (!error) return null;
  const e = error as { name?: string; message?: string; $metadata?: { requestId?: string } };
  const denied = /AccessDenied|UnauthorizedOperation/.test(e.name ?? '');
  const ended = signedIn && over(e);
  const id = /authorization id: ([0-9A-Za-z-]+)/.exec(e.message ?? '')?.[1];
  return (
    <Alert type="error" header={ended ? t.ended : denied ? t.denied : t.failed} data-testid="problem" action={ended && <Button onClick={signOut} data-testid="sign-in-again">{t.signInAgain}</Button>}>
      <Box variant="p">{e.name && e.name !== 'Error' ? <Said>{`${e.name}: ${e.message ?? ''}`}</Said> : (e.message ?? String(error))}</Box>
      {id && <Link href={href('authorizations', id)}>{t.deniedWhy}</Link>}
    </Alert>
  );
}
