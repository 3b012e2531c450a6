import Alert from '@cloudscape-design/components/alert';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Multiselect from '@cloudscape-design/components/multiselect';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useWords } from '../i18n';
import { iam, useSession, type Session } from '../aws/session';
import { useLoad } from '../ui/load';

type Option = { value: string; label: string; description: string };

// Chosen are users and roles: those of the list, and ARNs that were typed.
export type Chosen = { listed: readonly Option[]; typed: string };

export const nobody: Chosen = { listed: [], typed: '' };

// arnsOf are the ARNs of who was chosen.
export const arnsOf = (c: Chosen): string[] => [...new Set([...c.listed.map((o) => o.value), ...c.typed.split(',').map((x) => x.trim()).filter(Boolean)])];

// people are the roles and users of the account, service-linked roles too.
export async function people(s: Session): Promise<Option[]> {
  const { m, client } = await iam(s);
  const out: Option[] = [];
  for await (const p of m.paginateListRoles({ client, pageSize: 1000 }, {})) for (const r of p.Roles ?? []) out.push({ value: r.Arn!, label: r.RoleName!, description: r.Arn! });
  for await (const p of m.paginateListUsers({ client, pageSize: 1000 }, {})) for (const u of p.Users ?? []) out.push({ value: u.Arn!, label: u.UserName!, description: u.Arn! });
  return out;
}

// People chooses users and roles. Who may not list them names some by ARN.
export function People({ label, chosen, onChange, taken = [], id }: { label: string; chosen: Chosen; onChange: (c: Chosen) => void; taken?: string[]; id: string }) {
  const { t } = useWords();
  const s = useSession();
  const { data, error, loading } = useLoad(() => people(s), [s]);
  return (
    <SpaceBetween size="m">
      {error ? <Alert type="info">{t.listDenied}</Alert> : null}
      <FormField label={label}>
        <Multiselect
          data-testid={id}
          options={(data ?? []).filter((o) => !taken.includes(o.value))}
          selectedOptions={chosen.listed}
          onChange={(e) => onChange({ ...chosen, listed: e.detail.selectedOptions as readonly Option[] })}
          filteringType="auto"
          filteringPlaceholder={t.pickFilter}
          filteringAriaLabel={t.pickFilter}
          placeholder={t.pick}
          virtualScroll
          statusType={loading ? 'loading' : 'finished'}
          loadingText={t.loading}
          empty={t.none}
        />
      </FormField>
      <FormField label={t.orArn} description={t.arnsHint}>
        <Input value={chosen.typed} onChange={(e) => onChange({ ...chosen, typed: e.detail.value })} name={`${id}-arns`} spellcheck={false} placeholder="arn:aws:iam::111122223333:role/web" />
      </FormField>
    </SpaceBetween>
  );
}
