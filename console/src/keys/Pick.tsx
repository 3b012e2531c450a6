import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import Modal from '@cloudscape-design/components/modal';
import Multiselect from '@cloudscape-design/components/multiselect';
import SpaceBetween from '@cloudscape-design/components/space-between';
import { useWords } from '../i18n';
import { iam, useSession, type Session } from '../aws/session';
import { useAct, useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';

type Option = { value: string; label: string; description: string };

// people are the roles and users of the account, service-linked roles too.
export async function people(s: Session): Promise<Option[]> {
  const { m, client } = await iam(s);
  const out: Option[] = [];
  for await (const p of m.paginateListRoles({ client, pageSize: 1000 }, {})) for (const r of p.Roles ?? []) out.push({ value: r.Arn!, label: r.RoleName!, description: r.Arn! });
  for await (const p of m.paginateListUsers({ client, pageSize: 1000 }, {})) for (const u of p.Users ?? []) out.push({ value: u.Arn!, label: u.UserName!, description: u.Arn! });
  return out;
}

// Pick asks for users and roles. Who may not list them names one by its ARN.
export function Pick({ title, taken, onPick, onClose }: { title: string; taken: string[]; onPick: (arns: string[]) => Promise<void>; onClose: () => void }) {
  const { t } = useWords();
  const s = useSession();
  const { data, error, loading } = useLoad(() => people(s), [s]);
  const { busy, error: failed, act } = useAct();
  const [chosen, choose] = useState<readonly Option[]>([]);
  const [typed, type] = useState('');
  const arns = [...chosen.map((o) => o.value), ...(typed.trim() ? [typed.trim()] : [])];
  return (
    <Modal
      visible
      header={title}
      closeAriaLabel={t.close}
      onDismiss={onClose}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} disabled={arns.length === 0} onClick={() => act(() => onPick(arns))} data-testid="pick">{t.add}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        {error ? <Alert type="info">{t.listDenied}</Alert> : null}
        <FormField label={t.pick}>
          <Multiselect
            data-testid="people"
            options={(data ?? []).filter((o) => !taken.includes(o.value))}
            selectedOptions={chosen}
            onChange={(e) => choose(e.detail.selectedOptions as readonly Option[])}
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
        <FormField label={t.orArn}>
          <Input value={typed} onChange={(e) => type(e.detail.value)} spellcheck={false} placeholder="arn:aws:iam::111122223333:role/web" />
        </FormField>
        <Problem error={failed} />
      </SpaceBetween>
    </Modal>
  );
}

// PickAccount asks for the id of another account.
export function PickAccount({ onPick, onClose }: { onPick: (id: string) => Promise<void>; onClose: () => void }) {
  const { t } = useWords();
  const { busy, error, act } = useAct();
  const [id, set] = useState('');
  return (
    <Modal
      visible
      header={t.addAccount}
      closeAriaLabel={t.close}
      onDismiss={onClose}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onClose}>{t.cancel}</Button>
            <Button variant="primary" loading={busy} disabled={!/^\d{12}$/.test(id)} onClick={() => act(() => onPick(id))}>{t.add}</Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <FormField label={t.accountId}>
          <Input value={id} onChange={(e) => set(e.detail.value.trim())} inputMode="numeric" placeholder="111122223333" />
        </FormField>
        <Problem error={error} />
      </SpaceBetween>
    </Modal>
  );
}
