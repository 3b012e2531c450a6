import Box from '@cloudscape-design/components/box';
import Button from '@cloudscape-design/components/button';
import Header from '@cloudscape-design/components/header';
import Link from '@cloudscape-design/components/link';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import type { AutoScalingGroup } from '@aws-sdk/client-auto-scaling';
import { useWords } from '../i18n';
import { autoscaling, useSession } from '../aws/session';
import { href } from '../app/route';
import { useLoad } from '../ui/load';
import { Pager, useMarkers } from '../ui/Pager';
import { Problem } from '../ui/Problem';

export default function Groups() {
  const { t } = useWords();
  const s = useSession();
  const pages = useMarkers();
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await autoscaling(s);
    return client.send(new m.DescribeAutoScalingGroupsCommand({ MaxRecords: 50, NextToken: pages.marker }));
  }, [s, pages.marker]);
  return (
    <SpaceBetween size="m">
      <Problem error={error} />
      <Table<AutoScalingGroup>
        variant="full-page"
        loading={loading}
        loadingText={t.loading}
        items={data?.AutoScalingGroups ?? []}
        ariaLabels={{ tableLabel: t.groups }}
        header={<Header variant="h1" actions={<Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />}>{t.groups}</Header>}
        empty={<Box textAlign="center"><b>{error ? t.unreadable : t.noGroups}</b>{!error && <Box variant="p">{t.noGroupsLead}</Box>}</Box>}
        pagination={<Pager at={pages} next={loading ? undefined : data?.NextToken} />}
        columnDefinitions={[
          { id: 'name', header: t.group, isRowHeader: true, cell: (g) => <Link href={href('groups', g.AutoScalingGroupName!)}>{g.AutoScalingGroupName}</Link> },
          { id: 'launch', header: t.template, cell: (g) => g.LaunchTemplate?.LaunchTemplateName ?? g.MixedInstancesPolicy?.LaunchTemplate?.LaunchTemplateSpecification?.LaunchTemplateName ?? g.LaunchConfigurationName ?? '-' },
          { id: 'instances', header: t.instances, cell: (g) => <Capacity group={g} /> },
          { id: 'desired', header: t.desired, cell: (g) => g.DesiredCapacity },
          { id: 'min', header: t.min, cell: (g) => g.MinSize },
          { id: 'max', header: t.max, cell: (g) => g.MaxSize },
        ]}
      />
    </SpaceBetween>
  );
}

// Capacity is how many instances are in service, of those desired.
export function Capacity({ group }: { group: AutoScalingGroup }) {
  const up = (group.Instances ?? []).filter((i) => i.LifecycleState === 'InService').length;
  return <StatusIndicator type={up >= (group.DesiredCapacity ?? 0) ? 'success' : 'warning'}>{up} / {group.DesiredCapacity}</StatusIndicator>;
}
