import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import type { CustomKeyStoresListEntry as Store } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { useAct } from '../ui/load';
import { Dialog } from '../ui/Dialog';

export type How = 'connect' | 'disconnect' | 'delete';

// Act connects, disconnects or deletes a key store, once it has said what that means.
export function Act({ store, how, onDone }: { store: Store; how: How; onDone: (told?: string) => void }) {
  const { t } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const said = {
    connect: { title: t.connect, lead: t.connectLead, told: t.connecting },
    disconnect: { title: t.disconnect, lead: t.disconnectLead, told: t.disconnecting },
    delete: { title: t.deleteStore, lead: t.deleteStoreLead, told: t.storeDeleted },
  }[how];
  const run = () =>
    act(async () => {
      const { m, client } = await kms(s);
      const those = { CustomKeyStoreId: store.CustomKeyStoreId };
      if (how === 'connect') await client.send(new m.ConnectCustomKeyStoreCommand(those));
      else if (how === 'disconnect') await client.send(new m.DisconnectCustomKeyStoreCommand(those));
      else await client.send(new m.DeleteCustomKeyStoreCommand(those));
      onDone(said.told);
    });
  return (
    <Dialog title={said.title} onClose={() => onDone()} run={run} busy={busy} error={error} id="store-now">
      <Box><b>{store.CustomKeyStoreName}</b> <Box variant="code">{store.CustomKeyStoreId}</Box></Box>
      <Alert type={how === 'connect' ? 'info' : 'warning'}>{said.lead}</Alert>
    </Dialog>
  );
}
