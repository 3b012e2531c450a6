import { useState } from 'react';
import Box from '@cloudscape-design/components/box';
import FormField from '@cloudscape-design/components/form-field';
import Header from '@cloudscape-design/components/header';
import Select from '@cloudscape-design/components/select';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Table from '@cloudscape-design/components/table';
import type { KeyMetadata } from '@aws-sdk/client-kms';
import { useWords } from '../i18n';
import { useSession } from '../aws/session';
import { whoCan, type Answer } from '../aws/kagimori';
import { useLoad } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { decider, few, most } from './few';

export const questions = ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKeyWithoutPlaintext', 'kms:ReEncryptFrom', 'kms:ReEncryptTo', 'kms:CreateGrant', 'kms:PutKeyPolicy', 'kms:ScheduleKeyDeletion', 'kms:Sign'];

// Who asks the engine who may do something with the key.
export function Who({ meta }: { meta: KeyMetadata }) {
  const { t, tag } = useWords();
  const s = useSession();
  const [action, setAction] = useState(questions[0]);
  const { data, error, loading } = useLoad(() => whoCan(s, action, meta.Arn!, tag), [s, tag, action, meta.Arn]);
  const { items, pager } = usePages(data?.Answers ?? [], 50);
  return (
    <SpaceBetween size="m">
      <FormField label={t.action}>
        <Select selectedOption={{ value: action, label: action }} options={questions.map((q) => ({ value: q, label: q }))} onChange={(e) => setAction(e.detail.selectedOption.value!)} />
      </FormField>
      <Problem error={error} />
      {!error && (
        <Table<Answer>
          loading={loading}
          loadingText={t.loading}
          items={items}
          pagination={pager}
          empty={t.none}
          wrapLines
          header={<Header variant="h2" description={data?.Truncated ? `${t.whoLead} ${t.whoTruncated}` : t.whoLead} counter={data && `(${data.Answers?.length ?? 0})`}>{t.whoTab}</Header>}
          columnDefinitions={[
            { id: 'who', header: t.principal, isRowHeader: true, cell: (a) => <span className="kg-long">{a.Principal}</span> },
            { id: 'by', header: t.decidedBy, cell: (a) => few(t, (a.Statements ?? []).map((x) => x.Sid ?? x.GrantId ?? x.Policy ?? ''), a.MoreGrants) || decider(t, a.DecidedBy) },
            { id: 'if', header: t.conditions, minWidth: 120, cell: (a) => (!a.Conditions?.length && !a.DependsOn?.length ? t.always : <Conditions of={a} />) },
          ]}
        />
      )}
    </SpaceBetween>
  );
}

// Conditions are what an answer depends on.
function Conditions({ of }: { of: Answer }) {
  const { t } = useWords();
  const all = [...(of.Conditions ?? []).map((c) => `${c.Operator ?? ''} ${c.Key} ${c.Values?.join(', ') ?? ''}`.trim()), ...(of.DependsOn ?? [])];
  const left = Math.max(0, all.length - most) + (of.MoreGrants ?? 0);
  return (
    <>
      {all.slice(0, most).map((c, i) => <Box key={i} variant="div">{c}</Box>)}
      {left > 0 && <Box variant="div">{t.moreOf(left)}</Box>}
    </>
  );
}
