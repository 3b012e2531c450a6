import { useState, type ReactNode } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Button from '@cloudscape-design/components/button';
import Checkbox from '@cloudscape-design/components/checkbox';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import { useWords } from '../i18n';
import type { Edit, EditType, KeyPolicyView } from '../aws/kagimori';
import { useAct } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { Pick, PickAccount } from './Pick';

type Editing = { seen: KeyPolicyView; edit: (edits: Edit[]) => Promise<void>; editable: boolean };

// DefaultView is the policy as AWS's console shows it: lists that stand for statements.
export function DefaultView({ seen, edit, editable }: Editing) {
  const { t } = useWords();
  const [adding, setAdding] = useState<'administrators' | 'users' | 'account'>();
  const { busy, error, act } = useAct();
  const close = () => setAdding(undefined);
  const all = (type: EditType, names: string[]) => names.map((Principal) => ({ Type: type, Principal }));
  const change = (edits: Edit[]) => act(() => edit(edits));
  const pick = (type: EditType) => async (names: string[]) => {
    await edit(all(type, names));
    close();
  };
  return (
    <SpaceBetween size="m">
      {seen.OtherStatements.length > 0 && <Alert type="info">{t.otherStatements(seen.OtherStatements)}</Alert>}
      {!seen.Root && <Alert type="warning">{t.noRoot}</Alert>}
      <Problem error={error} />
      <List title={t.administrators} lead={t.administratorsLead} names={seen.Administrators} empty={t.noAdministrators} column={t.principal} editable={editable} busy={busy} id="administrators" onAdd={() => setAdding('administrators')} onRemove={(n) => change(all('REMOVE_ADMINISTRATOR', n))} />
      <Container header={<Header variant="h2">{t.keyDeletion}</Header>}>
        <Checkbox checked={seen.AdministratorsMayDelete && seen.Administrators.length > 0} disabled={!editable || busy || seen.Administrators.length === 0} onChange={(e) => change([{ Type: e.detail.checked ? 'ALLOW_DELETE' : 'FORBID_DELETE' }])}>
          {t.allowDelete}
        </Checkbox>
      </Container>
      <List title={t.users} lead={t.usersLead} names={seen.Users} empty={t.noUsers} column={t.principal} editable={editable} busy={busy} id="users" onAdd={() => setAdding('users')} onRemove={(n) => change(all('REMOVE_USER', n))} />
      <List title={t.accounts} lead={t.accountsLead} names={seen.Accounts} empty={t.noAccounts} column={t.accountId} editable={editable} busy={busy} id="accounts" onAdd={() => setAdding('account')} onRemove={(n) => change(all('REMOVE_ACCOUNT', n))} />
      {adding === 'administrators' && <Pick title={t.addAdministrators} taken={seen.Administrators} onClose={close} onPick={pick('ADD_ADMINISTRATOR')} />}
      {adding === 'users' && <Pick title={t.addUsers} taken={seen.Users} onClose={close} onPick={pick('ADD_USER')} />}
      {adding === 'account' && <PickAccount onClose={close} onPick={async (id) => pick('ADD_ACCOUNT')([id])} />}
    </SpaceBetween>
  );
}

type ListProps = { title: string; lead: ReactNode; names: string[]; empty: string; column: string; editable: boolean; busy: boolean; id: string; onAdd: () => void; onRemove: (names: string[]) => void };

function List({ title, lead, names, empty, column, editable, busy, id, onAdd, onRemove }: ListProps) {
  const { t } = useWords();
  const [chosen, choose] = useState<string[]>([]);
  const { items, pager } = usePages(names, 50);
  const there = chosen.filter((n) => names.includes(n));
  return (
    <div data-testid={`list-${id}`}>
      <Table<string>
        items={items}
        pagination={pager}
        trackBy={(n) => n}
        selectionType={editable ? 'multi' : undefined}
        selectedItems={there}
        onSelectionChange={(e) => choose(e.detail.selectedItems)}
        ariaLabels={{ tableLabel: title, selectionGroupLabel: title, allItemsSelectionLabel: () => title, itemSelectionLabel: (_s, n) => n }}
        empty={empty}
        header={
          <Header
            variant="h2"
            counter={`(${names.length})`}
            description={lead}
            actions={
              editable && (
                <SpaceBetween direction="horizontal" size="xs">
                  <Button disabled={there.length === 0} loading={busy} onClick={() => onRemove(there)} data-testid={`remove-${id}`}>{t.remove}</Button>
                  <Button onClick={onAdd} data-testid={`add-${id}`}>{t.add}</Button>
                </SpaceBetween>
              )
            }
          >
            {title}
          </Header>
        }
        columnDefinitions={[{ id: 'name', header: column, isRowHeader: true, cell: (n) => n }]}
      />
    </div>
  );
}
