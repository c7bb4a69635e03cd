// The price of a model as text.
import { listText, t } from './i18n.js';
import { formatMoney } from './format.js';

const rateText = (document) => {
  const { '*': general, ...named } = Object.fromEntries(
    Object.entries(document ?? {}).filter(([, rate]) => Number(rate) > 0),
  );
  const others = listText(Object.entries(named).map(([name, rate]) => `${name} ${formatMoney(rate)}`));
  return general && others ? `${formatMoney(general)} (${others})` : general ? formatMoney(general) : others;
};

export function priceText(price) {
  const parts = [];
  if (Number(price.per_call) > 0) parts.push(t('price.call', { amount: formatMoney(price.per_call) }));
  if (rateText(price.per_second)) parts.push(t('price.second', { amount: rateText(price.per_second) }));
  if (rateText(price.per_image)) parts.push(t('price.image', { amount: rateText(price.per_image) }));
  if (rateText(price.per_unit)) parts.push(t('price.unit', { amount: rateText(price.per_unit) }));
  if (Number(price.per_million_input) > 0 || Number(price.per_million_output) > 0)
    parts.push(
      t('price.tokens', {
        input: formatMoney(price.per_million_input),
        output: formatMoney(price.per_million_output),
      }),
    );
  return parts.join(' · ') || t('price.free');
}
