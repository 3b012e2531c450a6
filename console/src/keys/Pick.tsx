import { useState } from 'react';
import FormField from '@cloudscape-design/components/form-field';
import Input from '@cloudscape-design/components/input';
import { useWords } from '../i18n';
import { Dialog } from '../ui/Dialog';
import { useAct } from '../ui/load';
import { arnsOf, nobody, People } from './People';

// Pick asks for users and roles.
export function Pick({ title, taken, onPick, onClose }: { title: string; taken: string[]; onPick: (arns: string[]) => Promise<void>; onClose: () => void }) {
  const { t } = useWords();
  const { busy, error, act } = useAct();
  const [chosen, choose] = useState(nobody);
  const arns = arnsOf(chosen);
  return (
    <Dialog title={title} label={t.add} onClose={onClose} run={() => act(() => onPick(arns))} busy={busy} error={error} disabled={arns.length === 0} id="pick">
      <People label={t.pick} chosen={chosen} onChange={choose} taken={taken} id="people" />
    </Dialog>
  );
}

// PickAccount asks for the id of another account.
export function PickAccount({ onPick, onClose }: { onPick: (id: string) => Promise<void>; onClose: () => void }) {
  const { t } = useWords();
  const { busy, error, act } = useAct();
  const [id, set] = useState('');
  return (
    <Dialog title={t.addAccount} label={t.add} onClose={onClose} run={() => act(() => onPick(id))} busy={busy} error={error} disabled={!/^\d{12}$/.test(id)} id="pick-account">
      <FormField label={t.accountId}>
        <Input value={id} onChange={(e) => set(e.detail.value.trim())} inputMode="numeric" placeholder="111122223333" />
      </FormField>
    </Dialog>
  );
}
