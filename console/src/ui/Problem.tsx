import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Link from '@cloudscape-design/components/link';
import { useWords } from '../i18n';
import { href } from '../app/route';

// Problem shows an error as the service said it, and leads to the explanation of a denial.
export function Problem({ error }: { error: unknown }) {
  const { t } = useWords();
  if (!error) return null;
  const e = error as { name?: string; message?: string; $metadata?: { requestId?: string } };
  const denied = /AccessDenied|UnauthorizedOperation/.test(e.name ?? '');
  const id = /authorization id: ([0-9A-Za-z-]+)/.exec(e.message ?? '')?.[1];
  return (
    <Alert type="error" header={denied ? t.denied : t.failed} data-testid="problem">
      <Box variant="p">
        {e.name && e.name !== 'Error' ? `${e.name}: ` : ''}
        {e.message ?? String(error)}
      </Box>
      {id && <Link href={href('authorizations', id)}>{t.deniedWhy}</Link>}
    </Alert>
  );
}
