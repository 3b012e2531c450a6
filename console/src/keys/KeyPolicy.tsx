import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Button from '@cloudscape-design/components/button';
import SegmentedControl from '@cloudscape-design/components/segmented-control';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { kms, useSession } from '../aws/session';
import { editKeyPolicy, viewKeyPolicy, type Edit } from '../aws/kagimori';
import { useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { DefaultView } from './DefaultView';
import { ForAutoScaling } from './ForAutoScaling';
import { PolicyView } from './PolicyView';
import { Review } from './Review';
import { usageOf } from './usage';

export type Draft = { text: string; notes: string[] };

// KeyPolicy shows a key's policy in two views. An edit makes a draft, which is reviewed and then saved.
export function KeyPolicy({ meta }: { meta: KeyMetadata }) {
  const { t, tag } = useWords();
  const s = useSession();
  const [view, setView] = useState<string>('default');
  const [draft, setDraft] = useState<Draft>();
  const [saved, setSaved] = useState(false);
  const [launching, setLaunching] = useState(false);
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await kms(s);
    const text = (await client.send(new m.GetKeyPolicyCommand({ KeyId: meta.Arn }))).Policy!;
    return { text, seen: await viewKeyPolicy(s, text) };
  }, [s, meta.Arn]);
  if (!data) return loading ? <Spinner /> : <Problem error={error} />;
  const own = meta.KeyManager === 'CUSTOMER';
  const edit = async (edits: Edit[]) => {
    const out = await editKeyPolicy(s, data.text, usageOf(meta), edits, tag);
    setSaved(false);
    setDraft({ text: out.Policy, notes: out.Notes });
  };
  return (
    <SpaceBetween size="m">
      <SpaceBetween direction="horizontal" size="s">
        <SegmentedControl
          label={t.policyTab}
          selectedId={view}
          onChange={(e) => setView(e.detail.selectedId)}
          options={[{ id: 'default', text: t.defaultView }, { id: 'text', text: t.policyView }]}
        />
        {own && <Button onClick={() => setLaunching(true)} data-testid="for-auto-scaling">{t.forAutoScaling}</Button>}
      </SpaceBetween>
      {saved && <Alert type="success" dismissible dismissAriaLabel={t.close} onDismiss={() => setSaved(false)}>{t.saved}</Alert>}
      <Problem error={error} />
      {view === 'default' ? (
        <DefaultView seen={data.seen} edit={edit} editable={own} />
      ) : (
        <PolicyView key={data.text} meta={meta} text={data.text} editable={own} onReview={(text) => setDraft({ text, notes: [] })} />
      )}
      {launching && (
        <ForAutoScaling
          meta={meta}
          onClose={() => setLaunching(false)}
          edit={async (edits) => {
            await edit(edits);
            setLaunching(false);
          }}
        />
      )}
      {draft && (
        <Review
          keyArn={meta.Arn!}
          before={data.text}
          after={draft.text}
          notes={draft.notes}
          onDone={(done) => {
            setDraft(undefined);
            if (done) {
              setSaved(true);
              reload();
            }
          }}
        />
      )}
    </SpaceBetween>
  );
}
