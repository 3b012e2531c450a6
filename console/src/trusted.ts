// The page's policy takes no text for markup (require-trusted-types-for). The AWS SDK reads XML answers
// with DOMParser, which shows nothing; all other uses stay refused.
type Factory = { createPolicy(name: string, rules: { createHTML: (text: string, type: string, sink: string) => string | null }): unknown };
const factory = (window as unknown as { trustedTypes?: Factory }).trustedTypes;
factory?.createPolicy('default', { createHTML: (text, _type, sink) => (sink.startsWith('DOMParser') ? text : null) });

export {};
