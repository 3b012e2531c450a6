import { useMemo, useState } from 'react';
import Alert from '@cloudscape-design/components/alert';
import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Link from '@cloudscape-design/components/link';
import LiveRegion from '@cloudscape-design/components/live-region';
import SegmentedControl from '@cloudscape-design/components/segmented-control';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import Table from '@cloudscape-design/components/table';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { useSession } from '../aws/session';
import { whoCan } from '../aws/kagimori';
import { href } from '../app/route';
import { useLoad } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { decider, few } from '../keys/few';
import { questions } from '../keys/Who';
import { gather } from './gather';
import { build, type Graph as Picturable, type Node } from './model';
import { Picture } from './Picture';

const everything = 'everything';

// Graph is the access graph of a key: who asks, what lets them, the key, and what uses it.
export default function Graph({ meta }: { meta: KeyMetadata }) {
  const { t, tag } = useWords();
  const s = useSession();
  const [question, ask] = useState(everything);
  const [view, setView] = useState('picture');
  const [chosen, choose] = useState<string>();
  const { data, error, loading, reload } = useLoad(() => gather(s, meta, tag), [s, meta.Arn, tag]);
  const who = useLoad(async () => (question === everything ? undefined : { question, ...(await whoCan(s, question, meta.Arn!, tag)) }), [s, tag, question, meta.Arn]);
  // While another question is asked, the picture is that of the last answer.
  const answers = who.data?.Answers ?? (who.data ? [] : undefined);
  const graph = useMemo(() => data && build(data.seen, answers), [data, answers]);
  const node = graph?.nodes.find((n) => n.id === chosen);
  const options = [{ value: everything, label: t.graphEverything }, ...questions.map((q) => ({ value: q, label: t.graphWho(q) }))];
  return (
    <Container
      header={
        <Header variant="h2" description={t.graphLead} actions={<Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />}>{t.graphTab}</Header>
      }
    >
      <SpaceBetween size="m">
        <SpaceBetween direction="horizontal" size="m">
          <FormField label={t.graphFilter}>
            <Select data-testid="graph-filter" selectedOption={options.find((o) => o.value === question)!} options={options} onChange={(e) => { choose(undefined); ask(e.detail.selectedOption.value!); }} />
          </FormField>
          <div className="kg-view">
            <SegmentedControl label={t.graphAs} selectedId={view} onChange={(e) => setView(e.detail.selectedId)} options={[{ id: 'picture', text: t.graphPicture }, { id: 'table', text: t.graphTable }]} />
          </div>
        </SpaceBetween>
        {data && data.unread.length > 0 && <Alert type="info">{data.unread.map((u) => t.unread[u]).join(' ')}</Alert>}
        {who.data?.Truncated && <Alert type="info">{t.whoTruncated}</Alert>}
        <Problem error={error ?? who.error} />
        {(loading || who.loading) && <Spinner />}
        {graph && (view === 'picture' ? <Picture graph={graph} chosen={chosen} onChoose={choose} /> : <Connections graph={graph} onChoose={choose} chosen={chosen} />)}
        {graph && view === 'picture' && <Box variant="small" color="text-body-secondary">{t.graphLegend}</Box>}
        <LiveRegion>{node ? <Evidence node={node} /> : <Box color="text-body-secondary">{t.graphChoose}</Box>}</LiveRegion>
      </SpaceBetween>
    </Container>
  );
}

// Evidence is what proves a node: its facts and its document.
function Evidence({ node }: { node: Node }) {
  const { t } = useWords();
  return (
    <div data-testid="evidence">
      <SpaceBetween size="s">
        <Box variant="h3">{t.kinds[node.kind]}: {node.name}</Box>
        <KeyValuePairs columns={2} items={node.facts.filter(([, v]) => v).map(([f, v]) => ({ label: t.facts[f], value: f === 'decidedBy' ? decider(t, v) : v }))} />
        {node.document && <pre className="kg-pre">{node.document}</pre>}
        {node.href && <Link href={href(...node.href)}>{t.open}</Link>}
      </SpaceBetween>
    </div>
  );
}

const perPage = 25;

// Connections is the picture as a table: everything, with what it leads to.
function Connections({ graph, chosen, onChoose }: { graph: Picturable; chosen?: string; onChoose: (id: string) => void }) {
  const { t } = useWords();
  const names = useMemo(() => new Map(graph.nodes.map((n) => [n.id, `${t.kinds[n.kind]} ${n.name}`])), [graph, t]);
  const leads = useMemo(() => {
    const out = new Map<string, string[]>();
    for (const e of graph.edges) out.set(e.from, [...(out.get(e.from) ?? []), names.get(e.to)!]);
    return out;
  }, [graph, names]);
  const { items, pager } = usePages(graph.nodes, perPage);
  return (
    <Table<Node>
      variant="embedded"
      items={items}
      trackBy="id"
      wrapLines
      ariaLabels={{ tableLabel: t.graphTab }}
      header={<Header variant="h3" counter={`(${graph.nodes.length})`}>{t.graphTable}</Header>}
      pagination={pager}
      columnDefinitions={[
        { id: 'kind', header: t.rotationType, cell: (n) => t.kinds[n.kind] },
        { id: 'name', header: t.graphName, isRowHeader: true, cell: (n) => <Button variant="inline-link" ariaLabel={`${t.kinds[n.kind]} ${n.name}`} onClick={() => onChoose(n.id)}>{n.id === chosen ? <b>{n.name}</b> : n.name}</Button> },
        { id: 'leads', header: t.graphLeads, cell: (n) => few(t, leads.get(n.id) ?? []) || '-' },
      ]}
    />
  );
}
