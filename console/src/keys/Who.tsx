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
import { Problem } from '../ui/Problem';

export const questions = ['kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKeyWithoutPlaintext', 'kms:ReEncryptFrom', 'kms:ReEncryptTo', 'kms:CreateGrant', 'kms:PutKeyPolicy', 'kms:ScheduleKeyDeletion', 'kms:Sign'];

// Who asks the engine who may do something with the key.
export function Who({ meta }: { meta: KeyMetadata }) {
  const { t, tag } = useWords();
  const s = useSession();
  const [action, setAction] = useState(questions[0]);
  const { data, error, loading } = useLoad(() => whoCan(s, action, meta.Arn!, tag), [s, tag, action, meta.Arn]);
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
          items={data?.Answers ?? []}
          empty={t.none}
          wrapLines
          header={<Header variant="h2" description={t.whoLead}>{t.whoTab}</Header>}
          columnDefinitions={[
            { id: 'who', header: t.principal, isRowHeader: true, cell: (a) => a.Principal },
            { id: 'by', header: t.decidedBy, cell: (a) => (a.Statements ?? []).map((x) => x.Sid ?? x.GrantId ?? x.Policy).filter(Boolean).join(', ') || a.DecidedBy },
            { id: 'if', header: t.conditions, cell: (a) => (!a.Conditions?.length && !a.DependsOn?.length ? t.always : (a.Conditions ?? []).map((c, i) => <Box key={i} variant="div">{c.Operator} {c.Key} {c.Values?.join(', ')}</Box>).concat((a.DependsOn ?? []).map((d) => <Box key={d} variant="div">{d}</Box>))) },
          ]}
        />
      )}
    </SpaceBetween>
  );
}
