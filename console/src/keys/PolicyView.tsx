import { useCallback, useEffect, useState } from 'react';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import ButtonDropdown from '@cloudscape-design/components/button-dropdown';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { useSession } from '../aws/session';
import { validatePolicy, type Finding } from '../aws/kagimori';
import { pretty } from '../ui/Diff';
import { Editor, type Mark } from '../ui/Editor';
import { useLoad } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { people } from './People';
import { statements, type Snippet } from './statements';
import { append, suggest } from './suggest';

const severity = (f: Finding): Mark['severity'] => (f.findingType === 'ERROR' ? 'error' : f.findingType === 'SUGGESTION' ? 'note' : 'warning');
const indicator = { error: 'error', warning: 'warning', note: 'info' } as const;
const lineOf = (f: Finding) => f.locations[0]?.span.start.line ?? 1;

const pause = 400; // ms without typing before the service is asked

// PolicyView edits the text itself, with the findings of the service beside it.
export function PolicyView({ meta, text, editable, onReview }: { meta: KeyMetadata; text: string; editable: boolean; onReview: (text: string) => void }) {
  const { t, tag } = useWords();
  const s = useSession();
  const [value, setValue] = useState(text);
  const [findings, setFindings] = useState<Finding[]>();
  const [error, setError] = useState<unknown>();
  // Who may not list users and roles is offered the account only.
  const { data: listed } = useLoad(async () => (editable ? people(s) : []), [s, editable]);
  // Who may not have a policy edited is offered no statements.
  const { data: snippets } = useLoad(async (): Promise<Snippet[]> => (editable ? statements(s, meta, t, tag) : []), [s, meta.Arn, editable, tag]);
  const complete = useCallback(
    (typed: string, caret: number) => suggest(typed, caret, { principals: [`arn:aws:iam::${s.account}:root`, ...(listed ?? []).map((p) => p.value)], region: s.region, statements: snippets ?? [] }),
    [s, listed, snippets],
  );
  useEffect(() => {
    let stale = false;
    const timer = setTimeout(() => {
      validatePolicy(s, value, tag).then(
        (out) => {
          if (stale) return;
          setFindings(out.findings);
          setError(undefined);
        },
        (e) => !stale && setError(e),
      );
    }, pause);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [s, tag, value]);
  const { items, pager } = usePages(findings ?? [], 50);
  const marks = (findings ?? []).map((f) => ({ line: lineOf(f), severity: severity(f), text: f.findingDetails }));
  return (
    <SpaceBetween size="m">
      <Container
        header={
          <Header
            variant="h2"
            actions={
              editable && (
                <SpaceBetween direction="horizontal" size="xs">
                  <ButtonDropdown
                    data-testid="insert-statement" disabled={!snippets?.length || append(value, '') === undefined}
                    items={(snippets ?? []).map((x) => ({ id: x.label, text: x.label }))}
                    onItemClick={(e) => setValue(append(value, snippets!.find((x) => x.label === e.detail.id)!.text) ?? value)}
                  >
                    {t.insertStatement}
                  </ButtonDropdown>
                  <Button disabled={pretty(value) === value} onClick={() => setValue(pretty(value))}>{t.format}</Button>
                  <Button disabled={value === text} onClick={() => setValue(text)}>{t.discard}</Button>
                  <Button variant="primary" disabled={value === text || marks.some((m) => m.severity === 'error')} onClick={() => onReview(value)} data-testid="review">{t.review}</Button>
                </SpaceBetween>
              )
            }
          >
            {t.policyText}
          </Header>
        }
      >
        <Editor value={value} onChange={setValue} readOnly={!editable} label={t.policyText} marks={marks} suggest={editable ? complete : undefined} />
        {editable && <Box variant="small" color="text-body-secondary">{t.editorHint}</Box>}
      </Container>
      <Container header={<Header variant="h2" counter={findings && `(${findings.length})`}>{t.findings}</Header>}>
        <Problem error={error} />
        {findings?.length === 0 && <StatusIndicator type="success">{t.noFindings}</StatusIndicator>}
        <ul className="kg-list kg-told" data-testid="findings">
          {items.map((f, i) => (
            <li key={i}>
              <StatusIndicator type={indicator[severity(f)]} wrapText>{t.line} {lineOf(f)}: {f.findingDetails}</StatusIndicator> <Box variant="small">{f.issueCode}</Box>
            </li>
          ))}
        </ul>
        {pager}
      </Container>
    </SpaceBetween>
  );
}
