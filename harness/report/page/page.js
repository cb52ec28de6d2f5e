"use strict";
// Filters requirements and specs by verdict and words. The page is whole without it.
(() => {
	const form = document.getElementById("filter");
	const find = document.getElementById("find");
	const found = document.getElementById("found");
	const items = [...document.querySelectorAll(".item")].map((element) => ({
		element, words: element.firstElementChild.textContent.toLowerCase(),
	}));
	const sections = [...document.querySelectorAll(".filterable")];

	const apply = () => {
		const verdicts = [...form.querySelectorAll("input[name=verdict]:checked")].map((box) => box.value);
		const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
		let shown = 0;
		for (const item of items) {
			const fits = (verdicts.length === 0 || verdicts.includes(item.element.dataset.verdict)) &&
				words.every((word) => item.words.includes(word));
			item.element.hidden = !fits;
			shown += fits;
		}
		const filtered = verdicts.length + words.length > 0;
		for (const section of sections) {
			section.hidden = filtered && !section.querySelector(".item:not([hidden])");
		}
		found.textContent = filtered ? shown + " of " + items.length : "";
	};
	const setOpen = (open) => items.forEach(({ element }) => { if (!element.hidden) element.open = open; });
	// A link to what the filter hides ends the filter.
	const reveal = () => {
		const target = document.getElementById(location.hash.slice(1));
		if (target && target.closest("[hidden]")) {
			form.reset();
			apply();
			target.scrollIntoView();
		}
	};

	form.hidden = false;
	form.addEventListener("input", apply);
	form.addEventListener("submit", (event) => event.preventDefault());
	document.getElementById("open").addEventListener("click", () => setOpen(true));
	document.getElementById("close").addEventListener("click", () => setOpen(false));
	addEventListener("hashchange", reveal);
})();
