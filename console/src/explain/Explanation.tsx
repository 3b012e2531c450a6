import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Container from '@cloudscape-design/components/container';
import ExpandableSection from '@cloudscape-design/components/expandable-section';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useWords } from '../i18n';
import { useSession } from '../aws/session';
import { authorizationDetails, explainResource, type Authorization, type Evaluation, type Layer } from '../aws/kagimori';
import { useLoad } from '../ui/load';
import { Problem } from '../ui/Problem';
import { Said } from '../ui/Said';
import { When } from '../ui/Dates';
import { Fixes } from './Fixes';

// Explanation tells what was decided in the course of a request, or of what became of a resource.
export default function Explanation({ id, of }: { id: string; of: 'resource' | 'request' }) {
  const { t, tag } = useWords();
  const s = useSession();
  const { data, error, loading } = useLoad(() => (of === 'resource' ? explainResource(s, id, tag) : authorizationDetails(s, id, tag)), [s, id, of, tag]);
  const none = (error as { name?: string } | undefined)?.name === 'ResourceNotFoundException';
  return (
    <SpaceBetween size="m">
      <Header variant="h1">{of === 'resource' ? t.explanationOf(id) : t.explanation}</Header>
      {loading && <Spinner size="large" />}
      {none ? <Alert type="info">{t.nothingKept}</Alert> : <Problem error={error} />}
      {data?.Authorizations.map((a) => <Decided key={a.AuthorizationId} authorization={a} />)}
    </SpaceBetween>
  );
}

const allowed = (e: Evaluation) => e.EvaluatedEffect === 'ALLOW';

// Effect is the outcome of an evaluation.
function Effect({ of }: { of: Evaluation }) {
  const { t } = useWords();
  if (allowed(of)) return <StatusIndicator type="success">{t.allowed}</StatusIndicator>;
  if (of.EvaluatedEffect === 'UNDETERMINED') return <StatusIndicator type="info">{t.undetermined}</StatusIndicator>;
  return <StatusIndicator type="error">{t.deniedWord}</StatusIndicator>;
}

// Decided is one request: what was denied, open, and what was allowed.
function Decided({ authorization: a }: { authorization: Authorization }) {
  const { t } = useWords();
  const denied = (a.Evaluations ?? []).filter((e) => !allowed(e));
  const granted = (a.Evaluations ?? []).filter(allowed);
  return (
    <Container header={<Header variant="h2" description={a.AuthorizationId} info={a.ErrorCode ? <StatusIndicator type="error">{t.failed}</StatusIndicator> : <StatusIndicator type="success">{t.succeeded}</StatusIndicator>}>{a.EventName}</Header>}>
      <SpaceBetween size="m">
        <KeyValuePairs
          columns={3}
          items={[
            { label: t.principal, value: a.Principal ?? '-' },
            { label: t.time, value: <When at={a.EventTime} /> },
            { label: t.source, value: a.EventSource },
          ]}
        />
        {a.ErrorCode && <Alert type="error" header={<Said>{a.ErrorCode}</Said>}><Said>{a.ErrorMessage}</Said></Alert>}
        {denied.map((e, i) => <Part key={i} of={e} open />)}
        {granted.length === 1 && denied.length === 0 && <Part of={granted[0]} />}
        {granted.length + denied.length > 1 && granted.length > 0 && (
          <ExpandableSection headerText={t.allowedParts(granted.length)}>
            <SpaceBetween size="s">{granted.map((e, i) => <Part key={i} of={e} />)}</SpaceBetween>
          </ExpandableSection>
        )}
      </SpaceBetween>
    </Container>
  );
}

// Part is one evaluation, to open.
function Part({ of, open = false }: { of: Evaluation; open?: boolean }) {
  return (
    <ExpandableSection variant="container" defaultExpanded={open} headerText={of.Action} headerInfo={<Effect of={of} />}>
      <Evaluated evaluation={of} />
    </ExpandableSection>
  );
}

const colours: Record<Layer['State'], 'success' | 'info' | 'error' | 'warning' | 'stopped'> = { ALLOWS: 'success', DELEGATES: 'info', DENIES: 'error', NEEDED: 'warning', SILENT: 'stopped' };

function Evaluated({ evaluation: e }: { evaluation: Evaluation }) {
  const { t } = useWords();
  return (
    <SpaceBetween size="m">
      <KeyValuePairs columns={1} items={[{ label: t.resource, value: <Box variant="code">{e.Resource}</Box> }]} />
      <ul className="kg-list" data-testid="why">
        {(e.Explanation ?? []).map((line, i) => <li key={i}>{line}</li>)}
      </ul>
      {(e.Layers ?? []).length > 0 && (
        <ExpandableSection headerText={t.layers} variant="footer">
          <ul>
            {e.Layers!.map((l, i) => (
              <li key={i}>
                {l.Name}: <StatusIndicator type={colours[l.State]}>{t[l.State]}</StatusIndicator>
                <ul>{(l.Statements ?? []).map((st, k) => <li key={k}>{st.Explanation}</li>)}</ul>
              </li>
            ))}
          </ul>
        </ExpandableSection>
      )}
      {Object.keys(e.Context ?? {}).length > 0 && (
        <ExpandableSection headerText={t.context} variant="footer">
          <KeyValuePairs columns={2} items={Object.entries(e.Context!).map(([label, value]) => ({ label, value }))} />
        </ExpandableSection>
      )}
      {!allowed(e) && <Fixes fixes={e.Fixes ?? []} />}
    </SpaceBetween>
  );
}
