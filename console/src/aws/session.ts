import { createContext, useContext } from 'react';

export type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string; expiration?: Date };

// A Session is who uses the console. It lives in memory only: a reload forgets it.
export type Session = {
  region: string;
  account: string;
  arn: string;
  credentials: () => Promise<Credentials>;
};

export const endpoint = location.origin;

export const SessionContext = createContext<Session | null>(null);

// SignOutContext forgets who is signed in.
export const SignOutContext = createContext<() => void>(() => {});

export function useSession(): Session {
  const s = useContext(SessionContext);
  if (!s) throw new Error('nobody is signed in');
  return s;
}

const config = (region: string, credentials: Credentials | (() => Promise<Credentials>)) => ({ region, endpoint, credentials, maxAttempts: 2 });

// signIn asks who the credentials belong to and, if a role is named, assumes it. The role is assumed
// again before its credentials end.
export async function signIn(region: string, own: Credentials, role: string): Promise<Session> {
  const { STSClient, GetCallerIdentityCommand, AssumeRoleCommand } = await import('@aws-sdk/client-sts');
  let credentials = async () => own;
  if (role) {
    const sts = new STSClient(config(region, own));
    let current: Credentials | undefined;
    credentials = async () => {
      if (!current || (current.expiration?.getTime() ?? 0) - Date.now() < 60_000) {
        const { Credentials: c } = await sts.send(new AssumeRoleCommand({ RoleArn: role, RoleSessionName: 'console' }));
        current = { accessKeyId: c!.AccessKeyId!, secretAccessKey: c!.SecretAccessKey!, sessionToken: c!.SessionToken, expiration: c!.Expiration };
      }
      return current;
    };
  }
  const who = await new STSClient(config(region, credentials)).send(new GetCallerIdentityCommand({}));
  return { region, account: who.Account!, arn: who.Arn!, credentials };
}

// over reports whether an error says that the credentials are no longer good: they have ended, or who they
// were for is gone.
export const over = (error: unknown): boolean => /^(ExpiredToken(Exception)?|InvalidClientTokenId|UnrecognizedClientException|InvalidAccessKeyId|AuthFailure|RequestExpired)$/.test((error as { name?: string })?.name ?? '');

// Clients of a session, each loaded with the first screen that asks for it.
export async function kms(s: Session) {
  const m = await import('@aws-sdk/client-kms');
  return { m, client: new m.KMSClient(config(s.region, s.credentials)) };
}

export async function iam(s: Session) {
  const m = await import('@aws-sdk/client-iam');
  return { m, client: new m.IAMClient(config(s.region, s.credentials)) };
}

export async function autoscaling(s: Session) {
  const m = await import('@aws-sdk/client-auto-scaling');
  return { m, client: new m.AutoScalingClient(config(s.region, s.credentials)) };
}

export async function cloudtrail(s: Session) {
  const m = await import('@aws-sdk/client-cloudtrail');
  return { m, client: new m.CloudTrailClient(config(s.region, s.credentials)) };
}

export async function ec2(s: Session) {
  const m = await import('./compute');
  return { m, client: new m.EC2Client(config(s.region, s.credentials)) };
}
