import { evaluateExpression } from './cel.ts';
import { hasExpression, parseTemplate } from './template.ts';

/**
 * Puts values into every `${{ }}` of a value. A text that is one expression keeps its type; elsewhere values are
 * written into the text, lists and objects as JSON.
 *
 * @throws Error with one sentence when an expression cannot be evaluated
 */
export function resolveValue(value: unknown, scope: Record<string, unknown>): unknown {
  if (typeof value === 'string') return resolveText(value, scope);
  if (Array.isArray(value)) return value.map((item) => resolveValue(item, scope));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolveValue(item, scope)]));
  }
  return value;
}

function resolveText(text: string, scope: Record<string, unknown>): unknown {
  if (!hasExpression(text)) return text;
  const template = parseTemplate(text);
  if (template.whole) return evaluateExpression(template.placeholders[0]!.source, scope);
  let result = '';
  let from = 0;
  for (const { start, end, source } of template.placeholders) {
    result += text.slice(from, start) + textForm(evaluateExpression(source, scope));
    from = end;
  }
  return result + text.slice(from);
}

/** How a value looks inside a text or an environment variable. */
export function textForm(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Whether any text in a value holds an expression. */
export function containsExpression(value: unknown): boolean {
  if (typeof value === 'string') return hasExpression(value);
  if (value === null || typeof value !== 'object') return false;
  return Object.values(value).some(containsExpression);
}
