// What the console asks EC2, by name, so that the rest of its client stays out of what is built.
export { EC2Client, paginateDescribeVolumes } from '@aws-sdk/client-ec2';
