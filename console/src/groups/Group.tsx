import { useEffect } from 'react';
import Alert from '@cloudscape-design/components/alert';
import BreadcrumbGroup from '@cloudscape-design/components/breadcrumb-group';
import Button from '@cloudscape-design/components/button';
import Box from '@cloudscape-design/components/box';
import Container from '@cloudscape-design/components/container';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import Link from '@cloudscape-design/components/link';
import SpaceBetween from '@cloudscape-design/components/space-between';
import Spinner from '@cloudscape-design/components/spinner';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import Table from '@cloudscape-design/components/table';
import type { Activity } from '@aws-sdk/client-auto-scaling';
import { useWords } from '../i18n';
import { autoscaling, useSession } from '../aws/session';
import { href } from '../app/route';
import { useLoad } from '../ui/load';
import { usePages } from '../ui/Pager';
import { Problem } from '../ui/Problem';
import { Said } from '../ui/Said';
import { When } from '../ui/Dates';
import { Capacity } from './Groups';

// Status is an activity's, with its colour.
function Status({ code }: { code?: string }) {
  const { t } = useWords();
  switch (code) {
    case 'Successful':
      return <StatusIndicator type="success">{t.Successful}</StatusIndicator>;
    case 'Failed':
      return <StatusIndicator type="error">{t.Failed}</StatusIndicator>;
    case 'Cancelled':
      return <StatusIndicator type="error">{t.Cancelled}</StatusIndicator>;
    case 'InProgress':
      return <StatusIndicator type="in-progress">{t.InProgress}</StatusIndicator>;
  }
  return <StatusIndicator type="pending">{code}</StatusIndicator>;
}

const failed = (a: Activity) => a.StatusCode === 'Failed' || a.StatusCode === 'Cancelled';

const every = 5000; // ms between looks at a group

export default function Group({ name }: { name: string }) {
  const { t } = useWords();
  const s = useSession();
  const { data, error, loading, reload } = useLoad(async () => {
    const { m, client } = await autoscaling(s);
    const group = (await client.send(new m.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }))).AutoScalingGroups?.[0];
    const activities = group ? ((await client.send(new m.DescribeScalingActivitiesCommand({ AutoScalingGroupName: name, MaxRecords: 100 }))).Activities ?? []) : [];
    return { group, activities };
  }, [s, name]);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && reload(), every);
    return () => clearInterval(timer);
  }, [reload]);
  const instances = usePages(data?.group?.Instances ?? [], 50);
  const activities = usePages(data?.activities ?? [], 25);
  if (!data) return loading ? <Spinner size="large" /> : <Problem error={error} />;
  const g = data.group;
  if (!g) return <Alert type="info">{t.noSuchGroup(name)}</Alert>;
  return (
    <SpaceBetween size="m">
      <BreadcrumbGroup ariaLabel={t.menu} items={[{ text: t.groups, href: href('groups') }, { text: name, href: href('groups', name) }]} />
      <Header variant="h1" actions={<Button iconName="refresh" ariaLabel={t.refresh} onClick={reload} />}>{name}</Header>
      <Problem error={error} />
      <Container header={<Header variant="h2">{t.general}</Header>}>
        <KeyValuePairs
          columns={3}
          items={[
            { label: t.instances, value: <Capacity group={g} /> },
            { label: `${t.min} / ${t.desired} / ${t.max}`, value: `${g.MinSize} / ${g.DesiredCapacity} / ${g.MaxSize}` },
            { label: g.LaunchConfigurationName ? t.configuration : t.template, value: g.LaunchConfigurationName ?? g.LaunchTemplate?.LaunchTemplateName ?? '-' },
            { label: t.linkedRole, value: <Box variant="code">{g.ServiceLinkedRoleARN}</Box> },
            { label: t.zone, value: g.AvailabilityZones?.join(', ') },
            { label: t.created, value: <When at={g.CreatedTime} /> },
          ]}
        />
      </Container>
      <Table
        header={<Header variant="h2" counter={`(${g.Instances?.length ?? 0})`}>{t.instances}</Header>}
        items={instances.items}
        trackBy="InstanceId"
        pagination={instances.pager}
        ariaLabels={{ tableLabel: t.instances }}
        empty={t.none}
        columnDefinitions={[
          { id: 'id', header: t.instanceId, isRowHeader: true, cell: (i) => i.InstanceId },
          { id: 'life', header: t.lifecycle, cell: (i) => i.LifecycleState },
          { id: 'health', header: t.health, cell: (i) => i.HealthStatus },
          { id: 'zone', header: t.zone, cell: (i) => i.AvailabilityZone },
        ]}
      />
      <Table<Activity>
        header={<Header variant="h2">{t.activity}</Header>}
        items={activities.items}
        trackBy="ActivityId"
        pagination={activities.pager}
        ariaLabels={{ tableLabel: t.activity }}
        empty={t.noActivity}
        wrapLines
        columnDefinitions={[
          { id: 'status', header: t.status, cell: (a) => <Status code={a.StatusCode} />, width: 150 },
          {
            id: 'description', header: t.description, isRowHeader: true,
            cell: (a) => (
              <SpaceBetween size="xxs">
                <Said>{a.Description}</Said>
                {failed(a) && <Link href={href('explain', a.ActivityId!)}>{t.whyFailed}</Link>}
              </SpaceBetween>
            ),
          },
          { id: 'cause', header: t.cause, cell: (a) => <Said>{a.Cause}</Said> },
          { id: 'start', header: t.start, cell: (a) => <When at={a.StartTime} />, width: 170 },
          { id: 'end', header: t.end, cell: (a) => <When at={a.EndTime} />, width: 170 },
        ]}
      />
    </SpaceBetween>
  );
}
