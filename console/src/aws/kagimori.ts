import { SignatureV4 } from '@smithy/signature-v4';
import { HttpRequest } from '@smithy/protocol-http';
import { Sha256 } from '@aws-crypto/sha256-browser';
import type { Session } from './session';

// Failure is an error of a service without a client of its own here.
export class Failure extends Error {
  constructor(
    readonly name: string,
    message: string,
    readonly fields: Record<string, unknown>,
  ) {
    super(message);
  }
}

async function call<T>(s: Session, service: string, method: string, path: string, query: Record<string, string>, body?: unknown): Promise<T> {
  const signer = new SignatureV4({ service, region: s.region, credentials: s.credentials, sha256: Sha256 });
  const text = body === undefined ? undefined : JSON.stringify(body);
  const signed = await signer.sign(
    new HttpRequest({
      method, path, query, body: text, protocol: location.protocol, hostname: location.hostname,
      headers: { host: location.host, ...(text === undefined ? {} : { 'content-type': 'application/json' }) },
    }),
  );
  const { host: _, ...headers } = signed.headers;
  const search = new URLSearchParams(query).toString();
  const res = await fetch(path + (search && '?' + search), { method, headers, body: text });
  const answer = res.headers.get('content-type')?.includes('json') ? await res.json() : {};
  if (!res.ok) {
    const type = res.headers.get('x-amzn-errortype') ?? answer.__type ?? String(res.status);
    throw new Failure(String(type).split('#').pop()!.split(':')[0], answer.message ?? answer.Message ?? res.statusText, answer);
  }
  return answer as T;
}

const ask = <T>(s: Session, path: string, body: unknown) => call<T>(s, 'kagimori', 'POST', path, {}, body);

export type KeyPolicyView = {
  Owner?: string;
  Root: boolean;
  Administrators: string[];
  AdministratorsMayDelete: boolean;
  Users: string[];
  Accounts: string[];
  OtherStatements: number[];
  RepeatedSids: string[];
};

export type EditType =
  | 'ADD_ADMINISTRATOR' | 'REMOVE_ADMINISTRATOR' | 'ALLOW_DELETE' | 'FORBID_DELETE' | 'ADD_USER' | 'REMOVE_USER' | 'ADD_ACCOUNT'
  | 'REMOVE_ACCOUNT' | 'ADD_LINKED_ROLE' | 'ADD_LINKED_ROLE_LEAST' | 'SHARE_WITH_ACCOUNT';
export type Edit = { Type: EditType; Principal?: string };
export type Usage = 'symmetric' | 'rsa' | 'sign-verify' | 'key-agreement' | 'mac';
export type AccessChange = { Type: 'GAINS' | 'LOSES' | 'WIDER' | 'TIGHTER' | 'OTHER'; Principal: string; Actions: string[]; Before: string; After: string };

export const viewKeyPolicy = (s: Session, Policy: string) => ask<KeyPolicyView>(s, '/key-policy/view', { Policy });
export const editKeyPolicy = (s: Session, Policy: string, Usage: Usage, Edits: Edit[], Language: string) =>
  ask<{ Policy: string; Notes: string[] }>(s, '/key-policy/edit', { Policy, Usage, Edits, Language });
export const compareKeyPolicies = (s: Session, Before: string, After: string, Language: string, KeyArn?: string) =>
  ask<{ Changes: AccessChange[] }>(s, '/key-policy/compare', { Before, After, KeyArn, Language });

export type CheckedLaunch = { Id: string; Verdict: 'LAUNCHES' | 'FAILS' | 'CANNOT_TELL'; Told: string; Report: string };
export const checkLaunch = (s: Session, Input: string, Language: string) =>
  ask<{ Launches: CheckedLaunch[]; Notes: string[] }>(s, '/check', { Input, Language });

export type Fix = {
  Kind: string; Summary: string; Document?: string; Command?: string; Name?: string; Set: number; Owner?: string; Opens?: string[]; Run?: string;
  Target?: string; Patched?: string;
};
export type Layer = {
  PolicyType?: string; Name: string; State: 'ALLOWS' | 'DELEGATES' | 'DENIES' | 'NEEDED' | 'SILENT'; Change?: string;
  Statements?: { Sid?: string; Policy?: string; Explanation?: string; Applies?: boolean; Nearly?: boolean }[];
};
export type Evaluation = {
  Action: string; Resource: string; EvaluatedEffect: 'ALLOW' | 'EXPLICIT_DENY' | 'IMPLICIT_DENY' | 'UNDETERMINED';
  Explanation?: string[]; Fixes?: Fix[]; Layers?: Layer[]; Context?: Record<string, string>;
};
export type Authorization = {
  AuthorizationId: string; EventTime: number; EventSource: string; EventName: string; Principal?: string; ErrorCode?: string; ErrorMessage?: string;
  Evaluations?: Evaluation[];
};

export const explainResource = (s: Session, ResourceId: string, Language: string) =>
  call<{ Authorizations: Authorization[] }>(s, 'kagimori', 'GET', '/explanation', { ResourceId, Language });
export const authorizationDetails = (s: Session, id: string, Language: string) =>
  call<{ Authorizations: Authorization[] }>(s, 'kagimori', 'GET', '/authorizations/' + encodeURIComponent(id), { Language });

export type Finding = {
  findingType: 'ERROR' | 'SECURITY_WARNING' | 'WARNING' | 'SUGGESTION'; issueCode: string; findingDetails: string;
  locations: { span: { start: { line: number; column: number }; end: { line: number } } }[];
};
// validatePolicy is IAM Access Analyzer's, an API of AWS.
export const validatePolicy = (s: Session, policyDocument: string, language: string) =>
  call<{ findings: Finding[] }>(s, 'access-analyzer', 'POST', '/policy/validation', {}, {
    policyDocument, policyType: 'RESOURCE_POLICY', locale: language.toUpperCase(),
  });

type Cited = { PolicyType?: string; Policy?: string; Sid?: string; GrantId?: string; EvaluatedEffect?: string };
export type Answer = {
  Principal: string; EvaluatedEffect: string; DecidedBy?: string; CrossAccount?: boolean; DependsOn?: string[]; EncryptionContext?: Record<string, string>;
  Conditions?: ({ Operator: string; Key: string; Values?: string[] } & Cited)[];
  Statements?: Cited[];
  MoreGrants?: number; // like some of those cited
};
export const whoCan = (s: Session, Action: string, KeyArn: string, Language: string) => ask<{ Answers?: Answer[]; Truncated?: boolean }>(s, '/who-can', { Action, KeyArn, Language });

export type Effect = {
  ResourceType: string; ResourceId: string; Name?: string; PartOf?: string; When: 'NOW' | 'HOST_RESTART' | 'RESTART' | 'LAUNCH';
  Outcome: 'STOPS' | 'NARROWS' | 'CANNOT_TELL' | 'STARTS'; DependsOn?: string[]; Operation?: string; Actions?: string[]; Device?: string;
  Refusal?: { Principal?: string; Action?: string; ErrorCode?: string };
};
export type ImpactChange =
  | { Type: 'REVOKE_GRANT' | 'RETIRE_GRANT'; KeyId: string; GrantId: string }
  | { Type: 'DISABLE_KEY' | 'SCHEDULE_KEY_DELETION'; KeyId: string }
  | { Type: 'REPLACE_KEY_POLICY'; KeyId: string; Policy: string };
export type Prediction = { Effects: Effect[]; Starts?: Effect[]; Totals?: { ResourceType: string; When: string; Count: number }[]; Accounts?: string[]; Truncated?: boolean };
// predictImpact tells what stops working, and when, if a change is made, and what starts to.
export const predictImpact = (s: Session, Change: ImpactChange, Language: string) => ask<Prediction>(s, '/impact', { Change, Language });
