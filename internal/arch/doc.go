// Package arch is the law of the house, written as tests.
//
// It owns the table of floors, the homes of capabilities, the owners of tables
// and the budgets of size, and refuses a tree that breaks one of them. It holds
// no code that runs in the product, and nobody may import it. A change of the
// law comes in the same commit as the code that needs it, and a moved floor
// with a decision record.
//
// It sees what is written: imports, selectors, literals. What is reached
// through reflection, or a query put together at run time, it does not see;
// queries are constants for that reason.
package arch
