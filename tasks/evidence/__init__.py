"""Evidence: from conversation trees and people's acts to prompts, answers, votes, ties between prompts, and preferences."""
