import { useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import FileUpload from '@cloudscape-design/components/file-upload';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Textarea from '@cloudscape-design/components/textarea';
import { useWords } from '../i18n';
import { useSession } from '../aws/session';
import { checkLaunch, type CheckedLaunch } from '../aws/kagimori';
import { useAct } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { pretty } from '../ui/Diff';

const most = 1_000_000;
const colours = { LAUNCHES: 'success', FAILS: 'error', CANNOT_TELL: 'info' } as const;

export default function Check() {
  const { t, tag } = useWords();
  const s = useSession();
  const { busy, error, act } = useAct();
  const [text, setText] = useState('');
  const [files, setFiles] = useState<File[]>([]);
  const [answer, setAnswer] = useState<{ Launches: CheckedLaunch[]; Notes: string[] }>();
  const { items, pager } = usePages(answer?.Launches ?? [], 20);
  const large = new Blob([text]).size > most;
  return (
    <SpaceBetween size="m">
      <Header variant="h1" description={t.checkLead}>{t.check}</Header>
      <Container
        footer={<Button variant="primary" loading={busy} disabled={!text.trim() || large} onClick={() => act(async () => { setAnswer(undefined); setAnswer(await checkLaunch(s, text, tag)); })}>{t.run}</Button>}
      >
        <SpaceBetween size="m">
          <FormField stretch label={t.checkInput} description={t.checkHint} errorText={large && t.tooLarge}>
            <Textarea value={text} rows={14} spellcheck={false} onChange={(e) => setText(e.detail.value)} />
          </FormField>
          <FileUpload
            value={files}
            accept=".json,.yaml,.yml,.template"
            showFileSize
            i18nStrings={{ uploadButtonText: () => t.checkFile, dropzoneText: () => t.checkFile, removeFileAriaLabel: () => t.remove, limitShowFewer: t.close, limitShowMore: t.loadMore, errorIconAriaLabel: t.failed }}
            onChange={(e) => {
              setFiles(e.detail.value);
              void act(async () => setText((await e.detail.value[0]?.text()) ?? ''));
            }}
          />
        </SpaceBetween>
      </Container>
      <Problem error={error} />
      {answer?.Notes.length ? <Alert type="info" header={t.checkNotes}>{answer.Notes.map((n) => <div key={n}>{n}</div>)}</Alert> : null}
      {answer?.Launches.length === 0 && <Alert type="info">{t.launchesNothing}</Alert>}
      {items.map((l, i) => (
        <Container key={i} header={<Header variant="h2" info={<StatusIndicator type={colours[l.Verdict]}>{t[l.Verdict]}</StatusIndicator>}>{l.Id}</Header>}>
          <SpaceBetween size="s">
            <pre className="kg-pre" data-testid="verdict">{l.Told}</pre>
            <ExpandableSection headerText="JSON" variant="footer"><Box><pre className="kg-pre">{pretty(l.Report)}</pre></Box></ExpandableSection>
          </SpaceBetween>
        </Container>
      ))}
      {pager}
    </SpaceBetween>
  );
}
